// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/families.hpp"

#include <algorithm>

namespace flow29::core {

std::vector<Endpoint> first_of_each_family(const std::vector<Endpoint>& addresses) {
    std::vector<Endpoint> first;
    for (const Endpoint& address : addresses)
        if (std::ranges::count(first, address.is_v4(), &Endpoint::is_v4) == 0)
            first.push_back(address);
    return first;
}

}  // namespace flow29::core
