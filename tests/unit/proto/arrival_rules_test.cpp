// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/arrival_rules.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

using namespace flow29;
using namespace std::chrono_literals;
using proto::ArrivalRules;

namespace {

core::AddressGroup group(std::size_t number) {
    return core::Endpoint::parse(fmt::format("10.{}.{}.1:1", number >> 8, number & 255))
        .value()
        .group();
}

/// How many of one group may come at this time.
unsigned come(ArrivalRules& rules, std::size_t number, TimePoint now) {
    unsigned came = 0;
    while (rules.may_come(group(number), now))
        ++came;
    return came;
}

constexpr TimePoint start{1h};

}  // namespace

TEST_CASE("of one group so many come at once, then so many a second, and of another as many") {
    ArrivalRules rules;
    CHECK(come(rules, 1, start) == limits::arrivals_at_once_max);
    CHECK(come(rules, 1, start + 1s) == limits::arrivals_per_second_max);
    CHECK(come(rules, 1, start + 1500ms) == limits::arrivals_per_second_max / 2);
    CHECK(come(rules, 2, start + 1500ms) == limits::arrivals_at_once_max);
    // However long it is quiet, no more are saved up.
    CHECK(come(rules, 1, start + 24h) == limits::arrivals_at_once_max);
}

TEST_CASE("so many groups are remembered, and those that were quiet are forgotten before all are") {
    ArrivalRules rules;
    for (std::size_t i = 0; i < limits::arrival_groups_max; ++i)
        REQUIRE(rules.may_come(group(i), start));
    CHECK(come(rules, 7, start) == limits::arrivals_at_once_max - 1);
    CHECK(rules.remembered() == limits::arrival_groups_max);
    // The others have all again in a moment.
    CHECK(rules.may_come(group(60'000), start + 1s));
    CHECK(rules.remembered() == 2);
    CHECK(come(rules, 7, start + 1s) == limits::arrivals_per_second_max);
    for (std::size_t i = 10'000; rules.remembered() < limits::arrival_groups_max; ++i)
        REQUIRE(rules.may_come(group(i), start + 1s));
    CHECK(rules.may_come(group(60'001), start + 1s));
    CHECK(rules.remembered() == 1);
}
