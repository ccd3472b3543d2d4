// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "core/endpoint.hpp"

namespace flow29::core {

/// Of the addresses of one node, best first: the best of each family, in the same order.
[[nodiscard]] std::vector<Endpoint> first_of_each_family(const std::vector<Endpoint>& addresses);

/// The group of a node that was met at `seen` and says that it has `addresses`: that of its IPv4,
/// if it has both families. So machines of one network are of one group, by whichever they were
/// met.
[[nodiscard]] AddressGroup group_of(const Endpoint& seen, const std::vector<Endpoint>& addresses);

}  // namespace flow29::core
