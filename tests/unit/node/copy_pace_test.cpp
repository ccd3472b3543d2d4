// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/copy_pace.hpp"

#include <doctest/doctest.h>

namespace flow29::node {
namespace {

using namespace std::chrono_literals;

TimePoint at(Duration since_start) {
    return TimePoint(1h) + since_start;
}

void note(CopyPace& pace, Duration since_start, std::uint64_t made, std::uint64_t wanted = 1000) {
    pace.note(at(since_start), ByteCount(made), ByteCount(wanted));
}

}  // namespace

TEST_CASE("the time left is unknown until copies have grown after the first answers") {
    CopyPace pace;
    CHECK_FALSE(pace.left(at(0s)));
    note(pace, 0s, 0);
    note(pace, 1s, 700);  // they had it before
    CHECK_FALSE(pace.left(at(1s)));
    note(pace, 3s, 700);
    note(pace, 5s, 700);
    CHECK_FALSE(pace.left(at(5s)));
    note(pace, 13s, 800);
    CHECK(pace.left(at(13s)) == 20s);
    note(pace, 23s, 1000);
    CHECK_FALSE(pace.left(at(23s)));
}

TEST_CASE("the time left grows while nothing comes") {
    CopyPace pace;
    note(pace, 0s, 0);
    note(pace, 3s, 0);
    note(pace, 13s, 500);
    CHECK(pace.left(at(13s)) == 10s);
    CHECK(pace.left(at(23s)) == 20s);
    CHECK(pace.left(at(103s)) == 100s);
}

TEST_CASE("what was made long ago counts only where there is little since") {
    CopyPace fast;
    note(fast, 0s, 0, 100000);
    note(fast, 3s, 0, 100000);
    std::uint64_t made = 0;
    // Ten a second for five minutes, then one a second for two.
    for (int i = 4; i <= 300; ++i)
        note(fast, i * 1s, made += 10, 100000);
    for (int i = 301; i <= 420; ++i)
        note(fast, i * 1s, made += 1, 100000);
    CHECK(fast.left(at(420s)) == std::chrono::milliseconds((100000 - made) * 1000));

    CopyPace slow;
    note(slow, 0s, 0, 100);
    note(slow, 3s, 0, 100);
    // By turns one and three.
    for (int i = 1; i <= 10; ++i)
        note(slow, 3s + i * 100s, i * 2 - i % 2, 100);
    CHECK(slow.left(at(1003s)) == 4000s);
}

TEST_CASE("a lost copy makes the time left unknown, and so does a pause") {
    CopyPace pace;
    note(pace, 0s, 0);
    note(pace, 3s, 0);
    note(pace, 13s, 500);
    REQUIRE(pace.left(at(13s)));
    note(pace, 14s, 400);
    CHECK_FALSE(pace.left(at(14s)));
    note(pace, 24s, 600);
    CHECK(pace.left(at(24s)) == 20s);
    pace.clear();
    CHECK_FALSE(pace.left(at(25s)));
    note(pace, 30s, 600);
    note(pace, 31s, 900);
    CHECK_FALSE(pace.left(at(31s)));
}

TEST_CASE("copies that come at once many times are few steps, and none of them is lost") {
    CopyPace pace;
    note(pace, 0s, 0, 1'000'000);
    note(pace, 3s, 0, 1'000'000);
    for (int i = 1; i <= 100'000; ++i)
        note(pace, 3s + i * 1ms, i, 1'000'000);
    const auto left = pace.left(at(103s));
    REQUIRE(left);
    CHECK(*left > 899s);
    CHECK(*left < 901s);
}

}  // namespace flow29::node
