// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/scale/live_ring.hpp"

#include <algorithm>

#include "core/assert.hpp"

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
    // A subtree is a run of the sorted places that share their first bits. Whoever shares more of
    // them with `place` is nearer than all who share fewer, so the smallest that is large enough
    // has the nearest ones in it.
    auto first = nodes_.begin();
    auto last = nodes_.end();
    for (unsigned bits = 1; bits <= 64; ++bits) {
        const std::uint64_t rest = bits == 64 ? 0 : ~std::uint64_t{0} >> bits;
        const auto below = std::ranges::lower_bound(first, last, place & ~rest, {}, &Member::place);
        const auto above = std::ranges::upper_bound(below, last, place | rest, {}, &Member::place);
        if (static_cast<std::size_t>(above - below) < count) break;
        first = below;
        last = above;
    }
    std::vector<Member> near(first, last);
    const auto end = near.begin() + static_cast<std::ptrdiff_t>(std::min(count, near.size()));
    const auto distance = [place](const Member& member) { return member.place ^ place; };
    std::ranges::partial_sort(near, end, {}, distance);
    std::vector<std::uint32_t> result;
    for (auto member = near.begin(); member != end; ++member)
        result.push_back(member->node);
    return result;
}

}  // namespace flow29::sim::scale
