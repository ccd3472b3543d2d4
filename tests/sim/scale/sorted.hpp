// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

/// Small sets as sorted vectors: a node has a few dozen peers and extents, and a swarm a great many
/// nodes.
namespace flow29::sim::scale {

using Numbers = std::vector<std::uint32_t>;

inline bool contains(const Numbers& numbers, std::uint32_t number) {
    return std::ranges::binary_search(numbers, number);
}

inline void insert(Numbers& numbers, std::uint32_t number) {
    const auto at = std::ranges::lower_bound(numbers, number);
    if (at == numbers.end() || *at != number) numbers.insert(at, number);
}

inline void erase(Numbers& numbers, std::uint32_t number) {
    const auto at = std::ranges::lower_bound(numbers, number);
    if (at != numbers.end() && *at == number) numbers.erase(at);
}

}  // namespace flow29::sim::scale
