// SPDX-License-Identifier: GPL-3.0-or-later
#include <bitset>

#include "core/range_set.hpp"

#include "input.hpp"

namespace {

using namespace flow29;

constexpr std::uint64_t values = 256;
using Model = std::bitset<values>;

std::optional<core::RangeSet::Interval> first_gap(const Model& model, std::uint64_t first,
                                                  std::uint64_t last) {
    while (first < last && model[first])
        ++first;
    if (first >= last) return std::nullopt;
    auto end = first;
    while (end < last && !model[end])
        ++end;
    return core::RangeSet::Interval{first, end};
}

void check(const core::RangeSet& set, const Model& model) {
    FLOW29_ASSERT(set.size() == model.count() && set.empty() == model.none());
    Model seen;
    std::optional<std::uint64_t> before;
    for (const auto& interval : set.intervals()) {
        FLOW29_ASSERT(interval.first < interval.last && interval.last <= values);
        FLOW29_ASSERT(!before || *before < interval.first);  // adjacent ones are one
        before = interval.last;
        for (auto value = interval.first; value < interval.last; ++value)
            seen.set(value);
    }
    FLOW29_ASSERT(seen == model);
}

}  // namespace

/// A RangeSet does what a set of bits does.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    core::RangeSet set;
    Model model;
    while (!input.empty()) {
        const auto step = input.octet();
        const auto first = input.number(values - 1);
        const auto last = input.number(values - 1);
        if (step % 2 == 0) {
            const bool adds = step % 4 == 0;
            adds ? set.insert(first, last) : set.erase(first, last);
            for (auto value = first; value < last; ++value)
                model.set(value, adds);
            check(set, model);
        }
        FLOW29_ASSERT(set.contains(first) == model[first]);
        const auto gap = first_gap(model, first, last);
        FLOW29_ASSERT(set.first_gap(first, last) == gap);
        FLOW29_ASSERT(set.contains(first, last) == !gap);
    }
    return 0;
}
