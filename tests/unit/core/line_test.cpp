// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/line.hpp"

#include <doctest/doctest.h>

#include <deque>

using namespace flow29;
using namespace flow29::core;
using namespace std::chrono_literals;

namespace {
constexpr TimePoint start{std::chrono::hours(1)};
}  // namespace

TEST_CASE("a line without a limit is always ready and refuses nothing") {
    LineBudget budget;
    CHECK_FALSE(budget.is_limited());
    budget.charge(ByteCount(1ULL << 40), start);
    CHECK(budget.ready_at() <= start);
    CHECK(budget.charge_at_once(ByteCount(1ULL << 40), start));
}

TEST_CASE("what must not wait goes on credit, and the rest waits until that is paid for") {
    LineBudget budget;
    budget.set_rate(ByteCount(100'000), start);
    CHECK(budget.ready_at() <= start);
    CHECK(budget.charge_at_once(ByteCount(25'000), start));
    CHECK(budget.charge_at_once(ByteCount(25'000), start));
    CHECK_FALSE(budget.charge_at_once(ByteCount(25'000), start));
    CHECK(budget.ready_at() == start + 500ms);
    CHECK(budget.charge_at_once(ByteCount(25'000), start + 250ms));
}

TEST_CASE("a slow line gives credit for one look-up in the DHT") {
    LineBudget budget;
    budget.set_rate(ByteCount(8192), start);
    CHECK(budget.charge_at_once(LineBudget::credit_bytes_min, start));
    CHECK_FALSE(budget.charge_at_once(LineBudget::credit_bytes_min, start));
}

TEST_CASE("what is given back is there for others") {
    LineBudget budget;
    budget.set_rate(ByteCount(1000), start);
    budget.charge(ByteCount(1000), start);
    CHECK(budget.ready_at() == start + 1s);
    budget.give_back(ByteCount(400));
    CHECK(budget.ready_at() == start + 600ms);
}

TEST_CASE("with both kinds of traffic the rate holds over any ten seconds") {
    constexpr std::uint64_t rate = 500'000;
    LineBudget budget;
    budget.set_rate(ByteCount(rate), start);
    std::deque<std::pair<TimePoint, std::uint64_t>> window;
    std::uint64_t in_window = 0, most = 0;
    const auto moved = [&](TimePoint now, std::uint64_t bytes) {
        window.emplace_back(now, bytes);
        in_window += bytes;
        while (window.front().first <= now - 10s) {
            in_window -= window.front().second;
            window.pop_front();
        }
        most = std::max(most, in_window);
        REQUIRE(in_window <= rate * 10 * 105 / 100);
    };
    for (int ms = 0; ms < 40'000; ++ms) {
        const TimePoint now = start + std::chrono::milliseconds(ms);
        // A burst of look-ups now and then; between 15 and 20 s nothing that may wait.
        if (ms % 2000 < 50 && budget.charge_at_once(ByteCount(500), now)) moved(now, 500);
        if (ms > 15'000 && ms < 20'000) continue;
        while (budget.ready_at() <= now) {
            budget.charge(ByteCount(16'406), now);
            moved(now, 16'406);
        }
    }
    CHECK(most >= rate * 10 * 95 / 100);
}
