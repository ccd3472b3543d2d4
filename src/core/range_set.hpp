// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace flow29::core {

/// A set of unsigned integers kept as disjoint, non-adjacent half-open intervals.
/// Insert, erase and contains are O(log n + intervals touched).
class RangeSet {
  public:
    struct Interval {
        std::uint64_t first;
        std::uint64_t last;
        auto operator<=>(const Interval&) const = default;
    };

    void insert(std::uint64_t first, std::uint64_t last);
    void erase(std::uint64_t first, std::uint64_t last);
    [[nodiscard]] bool contains(std::uint64_t value) const;
    /// True when every value of [first, last) is in the set; true for an empty range.
    [[nodiscard]] bool contains(std::uint64_t first, std::uint64_t last) const;
    /// The first run of absent values within [first, last), if any.
    [[nodiscard]] std::optional<Interval> first_gap(std::uint64_t first, std::uint64_t last) const;
    /// How many values are in the set.
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::vector<Interval> intervals() const;

    bool operator==(const RangeSet&) const = default;

  private:
    std::map<std::uint64_t, std::uint64_t> by_first_;  // first → last
    std::uint64_t size_ = 0;
};

}  // namespace flow29::core
