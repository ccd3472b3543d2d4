// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/range_set.hpp"

#include <algorithm>
#include <iterator>

namespace flow29::core {

void RangeSet::insert(std::uint64_t first, std::uint64_t last) {
    if (first >= last) return;
    // The first interval that could touch: the one before, if it reaches `first`, else the next.
    auto touched = by_first_.upper_bound(first);
    if (touched != by_first_.begin() && std::prev(touched)->second >= first) --touched;
    while (touched != by_first_.end() && touched->first <= last) {
        first = std::min(first, touched->first);
        last = std::max(last, touched->second);
        size_ -= touched->second - touched->first;
        touched = by_first_.erase(touched);
    }
    by_first_.emplace_hint(touched, first, last);
    size_ += last - first;
}

void RangeSet::erase(std::uint64_t first, std::uint64_t last) {
    if (first >= last) return;
    auto touched = by_first_.upper_bound(first);
    if (touched != by_first_.begin() && std::prev(touched)->second > first) --touched;
    while (touched != by_first_.end() && touched->first < last) {
        const Interval whole{touched->first, touched->second};
        touched = by_first_.erase(touched);
        size_ -= whole.last - whole.first;
        if (whole.first < first) {
            by_first_.emplace_hint(touched, whole.first, first);
            size_ += first - whole.first;
        }
        if (whole.last > last) {
            touched = by_first_.emplace_hint(touched, last, whole.last);
            size_ += whole.last - last;
        }
    }
}

bool RangeSet::contains(std::uint64_t value) const {
    const auto after = by_first_.upper_bound(value);
    return after != by_first_.begin() && std::prev(after)->second > value;
}

bool RangeSet::contains(std::uint64_t first, std::uint64_t last) const {
    return !first_gap(first, last).has_value();
}

std::optional<RangeSet::Interval> RangeSet::first_gap(std::uint64_t first,
                                                      std::uint64_t last) const {
    auto next = by_first_.upper_bound(first);
    if (next != by_first_.begin()) first = std::max(first, std::prev(next)->second);
    if (first >= last) return std::nullopt;
    // Intervals are never adjacent, so after a present run there is at least one absent value.
    return Interval{first, next == by_first_.end() ? last : std::min(last, next->first)};
}

std::vector<RangeSet::Interval> RangeSet::intervals() const {
    std::vector<Interval> result;
    result.reserve(by_first_.size());
    for (const auto& [first, last] : by_first_)
        result.push_back({first, last});
    return result;
}

}  // namespace flow29::core
