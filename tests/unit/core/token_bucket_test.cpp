// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/token_bucket.hpp"

#include <doctest/doctest.h>

#include <deque>

using namespace flow29;
using namespace flow29::core;
using namespace std::chrono_literals;

namespace {
constexpr TimePoint start{std::chrono::hours(1)};
}  // namespace

TEST_CASE("without a rate everything goes at once") {
    TokenBucket bucket(ByteCount(0), ByteCount(0));
    CHECK(bucket.take(ByteCount(1ULL << 40), start) == start);
    CHECK(bucket.take(ByteCount(1), start) == start);
    CHECK(bucket.ready_at() <= start);
}

TEST_CASE("what was taken is paid for before more goes") {
    TokenBucket bucket(ByteCount(1000), ByteCount(0));
    CHECK(bucket.take(ByteCount(500), start) == start);
    CHECK(bucket.ready_at() == start + 500ms);
    CHECK(bucket.take(ByteCount(1), start) == start + 500ms);
    CHECK(bucket.take(ByteCount(0), start) == start + 501ms);
}

TEST_CASE("no more than the burst is saved up") {
    TokenBucket bucket(ByteCount(1000), ByteCount(100));
    CHECK(bucket.take(ByteCount(100), start) == start);
    CHECK(bucket.take(ByteCount(100), start) == start);
    CHECK(bucket.take(ByteCount(1), start) == start + 100ms);
    CHECK(bucket.take(ByteCount(200), start + 1h) == start + 1h);
    CHECK(bucket.take(ByteCount(1), start + 1h) == start + 1h + 100ms);
}

TEST_CASE("a new rate is in force at once, for what is owed as well") {
    TokenBucket bucket(ByteCount(1000), ByteCount(0));
    (void)bucket.take(ByteCount(4000), start);
    bucket.set_rate(ByteCount(2000), ByteCount(0), start + 2s);
    CHECK(bucket.ready_at() == start + 3s);
    bucket.set_rate(ByteCount(0), ByteCount(0), start + 2s);
    CHECK(bucket.take(ByteCount(1), start + 2s) == start + 2s);
}

TEST_CASE("over any ten seconds the rate holds within a burst and one taking") {
    constexpr std::uint64_t rate = 5 << 20;
    constexpr std::uint64_t piece = rate / 32;
    TokenBucket bucket(ByteCount(rate), ByteCount(rate / 16));
    std::deque<std::pair<TimePoint, std::uint64_t>> window;
    std::uint64_t in_window = 0;
    TimePoint now = start;
    for (int i = 0; i < 20'000; ++i) {
        if (i % 1000 == 0) now += 7s;  // a pause saves up a burst and no more
        now = std::max(now, bucket.take(ByteCount(piece), now));
        window.emplace_back(now, piece);
        in_window += piece;
        while (window.front().first <= now - 10s) {
            in_window -= window.front().second;
            window.pop_front();
        }
        REQUIRE(in_window <= rate * 10 * 105 / 100);
    }
    // And it is used: the last stretch ran without a pause.
    CHECK(in_window >= rate * 10 * 95 / 100 / 2);
}
