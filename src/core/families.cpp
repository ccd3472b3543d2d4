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

AddressGroup group_of(const Endpoint& seen, const std::vector<Endpoint>& addresses) {
    if (seen.is_v4()) return seen.group();
    const auto v4 = std::ranges::find_if(addresses, &Endpoint::is_v4);
    return v4 == addresses.end() ? seen.group() : v4->group();
}

}  // namespace flow29::core
