// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/listing_pace.hpp"

#include <doctest/doctest.h>

namespace flow29::api {
namespace {

using namespace std::chrono_literals;

constexpr ListingPace::Clock::time_point start{1000s};

/// How long after a listing that took this long the next one is due, in tenths of a second.
long pause(ListingPace& pace, ListingPace::Clock::duration cost, bool is_news) {
    pace.on_begun();
    pace.on_ended(start, cost);
    if (is_news) pace.on_news();
    long tenths = 0;
    while (!pace.is_due(start + tenths * 100ms))
        ++tenths;
    return tenths;
}

}  // namespace

TEST_CASE("the first listing is due at once") {
    CHECK(ListingPace().is_due(start));
}

TEST_CASE("few objects are listed each second, whether anything happens or not") {
    ListingPace pace;
    CHECK(pause(pace, 2ms, true) == 10);
    CHECK(pause(pace, 2ms, false) == 10);
}

TEST_CASE(
    "many are listed a tenth of the time while something happens, and rarely while nothing does") {
    ListingPace pace;
    CHECK(pause(pace, 300ms, true) == 30);
    CHECK(pause(pace, 100ms, false) == 200);
    CHECK(pause(pace, 300ms, false) == 600);
    CHECK(pause(pace, 400ms, false) == 600);
    // So many that a minute is not a tenth of the time.
    CHECK(pause(pace, 10s, false) == 1000);
    CHECK(pause(pace, 10s, true) == 1000);
}

TEST_CASE("what happens while they are listed is in the next listing, and soon") {
    ListingPace pace;
    pace.on_begun();
    pace.on_news();
    pace.on_ended(start, 300ms);
    CHECK(pace.is_due(start + 3s));
    CHECK_FALSE(pace.is_due(start + 2900ms));
    pace.on_begun();
    pace.on_ended(start + 3s, 300ms);
    CHECK_FALSE(pace.is_due(start + 62s));
    CHECK(pace.is_due(start + 63s));
}

}  // namespace flow29::api
