// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace flow29::sim::scale {

/// Of members that are sorted by `place`, the `count` whose place is nearest to this one (XOR),
/// nearest first; all of them if there are fewer. O(64 log members + subtree log count).
template <class Member>
std::vector<Member> nearest_of(const std::vector<Member>& members, std::uint64_t place,
                               std::size_t count) {
    // A subtree is a run of the sorted places that share their first bits. Whoever shares more of
    // them with `place` is nearer than all who share fewer, so the smallest that is large enough
    // has the nearest ones in it.
    auto first = members.begin();
    auto last = members.end();
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
    std::ranges::partial_sort(near, end, {},
                              [place](const Member& member) { return member.place ^ place; });
    near.erase(end, near.end());
    return near;
}

}  // namespace flow29::sim::scale
