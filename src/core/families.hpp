// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "core/endpoint.hpp"

namespace flow29::core {

/// Of the addresses of one node, best first: the best of each family, in the same order.
[[nodiscard]] std::vector<Endpoint> first_of_each_family(const std::vector<Endpoint>& addresses);

}  // namespace flow29::core
