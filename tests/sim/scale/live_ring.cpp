// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/scale/live_ring.hpp"

#include <algorithm>

#include "core/assert.hpp"
#include "sim/scale/nearest.hpp"

namespace flow29::sim::scale {

void LiveRing::insert(std::uint64_t place, std::uint32_t node) {
    const auto at = std::ranges::lower_bound(nodes_, place, {}, &Member::place);
    FLOW29_ASSERT(at == nodes_.end() || at->place != place);
    nodes_.insert(at, {place, node});
}

void LiveRing::erase(std::uint64_t place) {
    const auto at = std::ranges::lower_bound(nodes_, place, {}, &Member::place);
    FLOW29_ASSERT(at != nodes_.end() && at->place == place);
    nodes_.erase(at);
}

std::vector<std::uint32_t> LiveRing::nearest(std::uint64_t place, std::size_t count) const {
    std::vector<std::uint32_t> result;
    for (const auto& member : nearest_of(nodes_, place, count))
        result.push_back(member.node);
    return result;
}

}  // namespace flow29::sim::scale
