// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/reach_verdict.hpp"

#include <doctest/doctest.h>

using namespace flow29;
using namespace std::chrono_literals;
using proto::ReachVerdict;

namespace {
constexpr TimePoint start{1h};
}  // namespace

TEST_CASE("nothing is known, and peers are asked at once, until somebody answers") {
    ReachVerdict verdict(start);
    CHECK(verdict.next_round() <= start);
    for (int round = 0; round < 5; ++round)
        verdict.on_round({.answers = 0, .reached = 0}, start);
    CHECK_FALSE(verdict.reachable().has_value());
    CHECK(verdict.next_round() == start + ReachVerdict::pause_alone);
}

TEST_CASE("one peer that could dial is enough") {
    ReachVerdict verdict(start);
    verdict.on_round({.answers = 3, .reached = 1}, start);
    CHECK(verdict.reachable() == true);
    CHECK(verdict.next_round() == start + ReachVerdict::pause_reachable);
}

TEST_CASE("a node is unreachable when nobody could dial it, twice in a row") {
    ReachVerdict verdict(start);
    verdict.on_round({.answers = 1, .reached = 0}, start);
    CHECK_FALSE(verdict.reachable().has_value());
    CHECK(verdict.next_round() == start + ReachVerdict::pause_refused);
    SUBCASE("the second time") {
        verdict.on_round({.answers = 1, .reached = 0}, start);
        CHECK(verdict.reachable() == false);
        CHECK(verdict.next_round() == start + ReachVerdict::pause_unreachable);
    }
    SUBCASE("one success between begins anew") {
        verdict.on_round({.answers = 1, .reached = 1}, start);
        verdict.on_round({.answers = 1, .reached = 0}, start);
        CHECK(verdict.reachable() == true);
        verdict.on_round({.answers = 1, .reached = 0}, start);
        CHECK(verdict.reachable() == false);
    }
    SUBCASE("a round that nobody answered counts neither way") {
        verdict.on_round({.answers = 0, .reached = 0}, start);
        CHECK_FALSE(verdict.reachable().has_value());
        verdict.on_round({.answers = 1, .reached = 0}, start);
        CHECK(verdict.reachable() == false);
    }
}

TEST_CASE("an unreachable node is reachable again when it is dialled, asked for or not") {
    ReachVerdict verdict(start);
    verdict.on_round({.answers = 1, .reached = 0}, start);
    verdict.on_round({.answers = 1, .reached = 0}, start);
    REQUIRE(verdict.reachable() == false);
    SUBCASE("asked for") {
        verdict.on_round({.answers = 2, .reached = 2}, start);
    }
    SUBCASE("not asked for") {
        verdict.on_dialled(start);
    }
    CHECK(verdict.reachable() == true);
}

TEST_CASE("a new address is tried at once, and is no reason to forget what is known") {
    ReachVerdict verdict(start);
    verdict.on_round({.answers = 1, .reached = 0}, start);
    verdict.on_round({.answers = 1, .reached = 0}, start);
    verdict.on_news(start + 1s);
    CHECK(verdict.reachable() == false);
    CHECK(verdict.next_round() == start + 1s);
}

TEST_CASE("as long as nothing is known, nobody is to count on it") {
    ReachVerdict verdict(start);
    CHECK_FALSE(verdict.counts(start));
    SUBCASE("until somebody says that it can be dialled") {
        verdict.on_round({.answers = 1, .reached = 1}, start + 1s);
        CHECK(verdict.counts(start + 1s));
    }
    SUBCASE("until somebody dials it") {
        verdict.on_dialled(start + 1s);
        CHECK(verdict.counts(start + 1s));
    }
    SUBCASE("unless there is nobody who says anything") {
        verdict.on_round({.answers = 0, .reached = 0}, start + 1s);
        CHECK_FALSE(verdict.counts(start + ReachVerdict::patience - 1ms));
        CHECK(verdict.counts(start + ReachVerdict::patience));
    }
    SUBCASE("and not when somebody said no, however long ago that is") {
        verdict.on_round({.answers = 1, .reached = 0}, start + 1s);
        CHECK_FALSE(verdict.counts(start + 2 * ReachVerdict::patience));
    }
}

TEST_CASE("whoever could be dialled the last time counts until the contrary is known") {
    ReachVerdict verdict(start, true);
    CHECK(verdict.counts(start));
    verdict.on_round({.answers = 1, .reached = 0}, start);
    CHECK(verdict.counts(start));
    verdict.on_round({.answers = 1, .reached = 0}, start);
    CHECK_FALSE(verdict.counts(start));
}

TEST_CASE("one who can be asked is asked at once, as long as nobody has answered") {
    ReachVerdict verdict(start);
    verdict.on_round({.answers = 0, .reached = 0}, start);
    verdict.on_judge(start + 1ms);
    CHECK(verdict.next_round() == start + 1ms);
    verdict.on_round({.answers = 1, .reached = 0}, start + 1ms);
    verdict.on_judge(start + 2ms);
    CHECK(verdict.next_round() == start + 1ms + ReachVerdict::pause_refused);
}
