// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/range_set.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using flow29::core::RangeSet;
using Interval = RangeSet::Interval;
using Intervals = std::vector<Interval>;

namespace {

RangeSet make_set(const Intervals& intervals) {
    RangeSet set;
    for (const auto& [first, last] : intervals)
        set.insert(first, last);
    return set;
}

/// A bit per value: slow and obvious.
class Model {
  public:
    static constexpr std::uint64_t values = 64;

    void assign(std::uint64_t first, std::uint64_t last, bool present) {
        for (std::uint64_t i = first; i < last; ++i)
            bits_[i] = present;
    }
    [[nodiscard]] bool contains(std::uint64_t value) const { return bits_[value]; }
    [[nodiscard]] std::uint64_t size() const {
        return static_cast<std::uint64_t>(std::count(bits_.begin(), bits_.end(), true));
    }
    [[nodiscard]] std::optional<Interval> first_gap(std::uint64_t first, std::uint64_t last) const {
        while (first < last && bits_[first])
            ++first;
        if (first >= last) return std::nullopt;
        std::uint64_t end = first;
        while (end < last && !bits_[end])
            ++end;
        return Interval{first, end};
    }
    [[nodiscard]] Intervals intervals() const {
        Intervals result;
        for (std::uint64_t i = 0; i < values; ++i) {
            if (!bits_[i]) continue;
            if (i > 0 && bits_[i - 1])
                ++result.back().last;
            else
                result.push_back({i, i + 1});
        }
        return result;
    }

  private:
    std::vector<bool> bits_ = std::vector<bool>(values);
};

}  // namespace

TEST_CASE("a new range set is empty") {
    const RangeSet set;
    CHECK(set.empty());
    CHECK(set.size() == 0);
    CHECK(set.intervals().empty());
    CHECK_FALSE(set.contains(0));
    CHECK(set.first_gap(0, 10) == Interval{0, 10});
}

TEST_CASE("inserting or erasing an empty or backward range changes nothing") {
    RangeSet set = make_set({{3, 5}});
    set.insert(9, 9);
    set.insert(9, 7);
    set.erase(4, 4);
    set.erase(5, 3);
    CHECK(set.intervals() == Intervals{{3, 5}});
}

TEST_CASE("intervals that touch or overlap become one") {
    CHECK(make_set({{0, 2}, {2, 4}}).intervals() == Intervals{{0, 4}});
    CHECK(make_set({{2, 4}, {0, 2}}).intervals() == Intervals{{0, 4}});
    CHECK(make_set({{0, 2}, {3, 4}}).intervals() == Intervals{{0, 2}, {3, 4}});
    CHECK(make_set({{0, 2}, {4, 6}, {8, 9}, {1, 8}}).intervals() == Intervals{{0, 9}});
    CHECK(make_set({{0, 10}, {3, 5}}).intervals() == Intervals{{0, 10}});
    CHECK(make_set({{3, 5}, {0, 10}}).intervals() == Intervals{{0, 10}});
}

TEST_CASE("erasing cuts, splits and removes intervals") {
    const auto erased = [](std::uint64_t first, std::uint64_t last) {
        RangeSet set = make_set({{2, 6}, {8, 12}});
        set.erase(first, last);
        return set.intervals();
    };
    CHECK(erased(0, 2) == Intervals{{2, 6}, {8, 12}});
    CHECK(erased(6, 8) == Intervals{{2, 6}, {8, 12}});
    CHECK(erased(0, 3) == Intervals{{3, 6}, {8, 12}});
    CHECK(erased(5, 9) == Intervals{{2, 5}, {9, 12}});
    CHECK(erased(3, 4) == Intervals{{2, 3}, {4, 6}, {8, 12}});
    CHECK(erased(2, 6) == Intervals{{8, 12}});
    CHECK(erased(0, 20).empty());
}

TEST_CASE("contains and first_gap are half-open at both ends") {
    const RangeSet set = make_set({{2, 6}, {8, 12}});
    CHECK_FALSE(set.contains(1));
    CHECK(set.contains(2));
    CHECK(set.contains(5));
    CHECK_FALSE(set.contains(6));
    CHECK(set.contains(2, 6));
    CHECK_FALSE(set.contains(1, 6));
    CHECK_FALSE(set.contains(2, 7));
    CHECK_FALSE(set.contains(5, 9));
    CHECK(set.contains(7, 7));
    CHECK(set.contains(7, 3));
    CHECK(set.first_gap(2, 6) == std::nullopt);
    CHECK(set.first_gap(2, 7) == Interval{6, 7});
    CHECK(set.first_gap(3, 20) == Interval{6, 8});
    CHECK(set.first_gap(8, 20) == Interval{12, 20});
    CHECK(set.first_gap(0, 20) == Interval{0, 2});
    CHECK(set.first_gap(4, 4) == std::nullopt);
}

TEST_CASE("the largest values fit") {
    constexpr std::uint64_t top = ~std::uint64_t{0};
    RangeSet set;
    set.insert(0, top);
    CHECK(set.size() == top);
    CHECK(set.contains(top - 1));
    CHECK_FALSE(set.contains(top));
    set.erase(1, top - 1);
    CHECK(set.intervals() == Intervals{{0, 1}, {top - 1, top}});
    CHECK(set.size() == 2);
}

TEST_CASE("random operations agree with a set of bits") {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        RangeSet set;
        Model model;
        for (int step = 0; step < 250; ++step) {
            const std::uint64_t a = random() % (Model::values + 1);
            const std::uint64_t b = random() % (Model::values + 1);
            const bool present = random() % 2 == 0;
            present ? set.insert(a, b) : set.erase(a, b);
            model.assign(a, b, present);
            REQUIRE(set.size() == model.size());
            REQUIRE(set.empty() == (model.size() == 0));
            REQUIRE(set.intervals() == model.intervals());
            const std::uint64_t c = random() % (Model::values + 1);
            const std::uint64_t d = random() % (Model::values + 1);
            REQUIRE(set.first_gap(c, d) == model.first_gap(c, d));
            REQUIRE(set.contains(c, d) == !model.first_gap(c, d).has_value());
            for (std::uint64_t i = 0; i < Model::values; ++i)
                REQUIRE(set.contains(i) == model.contains(i));
            REQUIRE(set == make_set(model.intervals()));
        }
    }
}
