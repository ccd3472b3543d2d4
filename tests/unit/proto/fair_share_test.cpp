// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/fair_share.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace flow29;
using namespace flow29::proto;
using namespace std::chrono_literals;
using Class = FairShare::Class;

namespace {

constexpr TimePoint start{std::chrono::hours(1)};
constexpr std::uint64_t rate = 800'000;

/// A share whose flows always have something to move, in virtual time.
struct Busy {
    core::LineBudget budget;
    FairShare share{budget};
    TimePoint now = start;
    std::map<FairShare::FlowId, std::uint64_t> had;
    std::map<FairShare::FlowId, Class> flows;

    explicit Busy(std::uint64_t bytes_per_second = rate) {
        budget.set_rate(ByteCount(bytes_per_second), now);
    }

    FairShare::FlowId add(Class as) {
        const auto flow = share.add();
        flows[flow] = as;
        share.want(flow, as);
        return flow;
    }

    /// Each turn is used but for `unused` octets.
    void run(Duration duration, std::uint64_t unused = 0) {
        for (const TimePoint until = now + duration; now < until; now += 1ms) {
            while (const auto turn = share.poll_turn(now)) {
                had[turn->flow] += turn->octets.value - unused;
                if (unused > 0) share.give_back(turn->flow, ByteCount(unused));
                share.want(turn->flow, flows[turn->flow]);
            }
            share.check_invariants();
        }
    }
};

}  // namespace

TEST_CASE("nobody who does not wait gets a turn") {
    Busy busy;
    (void)busy.share.add();
    CHECK_FALSE(busy.share.poll_turn(start).has_value());
    CHECK_FALSE(busy.share.next_deadline().has_value());
}

TEST_CASE("a turn is charged for at once, and the next comes when that is paid") {
    Busy busy;
    const auto flow = busy.add(Class::foreground);
    TimePoint now = start;
    while (busy.share.poll_turn(now))
        busy.share.want(flow, Class::foreground);
    const auto next = busy.share.next_deadline();
    REQUIRE(next.has_value());
    CHECK(*next > now);
    CHECK_FALSE(busy.share.poll_turn(*next - 1ns).has_value());
    CHECK(busy.share.poll_turn(*next).has_value());
}

TEST_CASE("eight flows get the same, and together what the budget allows") {
    Busy busy;
    for (int i = 0; i < 8; ++i)
        busy.add(Class::foreground);
    busy.run(10s);
    std::uint64_t sum = 0;
    for (const auto& [flow, octets] : busy.had)
        sum += octets;
    CHECK(sum <= rate * 10 * 105 / 100);
    CHECK(sum >= rate * 10 * 95 / 100);
    REQUIRE(busy.had.size() == 8);
    for (const auto& [flow, octets] : busy.had) {
        CHECK(octets * 8 <= sum * 110 / 100);
        CHECK(octets * 8 >= sum * 90 / 100);
    }
}

TEST_CASE("a flow that uses little of its turns is not passed over, nor others held up") {
    Busy busy;
    const auto small = busy.add(Class::foreground);
    const auto large = busy.add(Class::foreground);
    for (const TimePoint until = start + 10s; busy.now < until; busy.now += 1ms) {
        while (const auto turn = busy.share.poll_turn(busy.now)) {
            const std::uint64_t used = turn->flow == small ? 1000 : turn->octets.value;
            busy.share.give_back(turn->flow, turn->octets - ByteCount(used));
            busy.had[turn->flow] += used;
            busy.share.want(turn->flow, Class::foreground);
        }
    }
    // Both had the same octets, the one in many small turns.
    CHECK(busy.had[small] * 100 >= busy.had[large] * 80);
    CHECK(busy.had[large] * 100 >= busy.had[small] * 80);
}

TEST_CASE("one that was idle neither catches up nor waits longer") {
    Busy busy;
    const auto first = busy.add(Class::foreground);
    busy.run(5s);
    const auto second = busy.add(Class::foreground);
    busy.had.clear();
    busy.run(5s);
    CHECK(busy.had[second] * 100 >= busy.had[first] * 90);
    CHECK(busy.had[first] * 100 >= busy.had[second] * 90);
}

TEST_CASE("while both classes wait the foreground has nine tenths, however many are behind") {
    Busy busy;
    const auto fetch = busy.add(Class::foreground);
    for (int i = 0; i < 8; ++i)
        busy.add(Class::background);
    busy.run(10s);
    std::uint64_t sum = 0;
    for (const auto& [flow, octets] : busy.had)
        sum += octets;
    CHECK(busy.had[fetch] * 100 >= sum * 85);
    CHECK(busy.had[fetch] * 100 <= sum * 95);
}

TEST_CASE("the background has everything while nobody waits for anything") {
    Busy busy;
    const auto repair = busy.add(Class::background);
    busy.run(10s);
    CHECK(busy.had[repair] >= rate * 10 * 95 / 100);
    // And does not pay for it when somebody comes.
    const auto fetch = busy.add(Class::foreground);
    busy.had.clear();
    busy.run(10s);
    CHECK(busy.had[fetch] * 100 >= rate * 10 * 85);
    CHECK(busy.had[repair] * 100 >= rate * 10 * 5);
}

TEST_CASE("who leaves while waiting is forgotten") {
    Busy busy;
    const auto gone = busy.add(Class::background);
    busy.share.remove(gone);
    CHECK_FALSE(busy.share.poll_turn(start).has_value());
    busy.share.check_invariants();
}

TEST_CASE("a turn is a sixteenth of a second's worth, within bounds") {
    const auto quantum = [](std::uint64_t bytes_per_second) {
        core::LineBudget budget;
        budget.set_rate(ByteCount(bytes_per_second), start);
        return FairShare(budget).quantum().value;
    };
    CHECK(quantum(8192) == 1024);
    CHECK(quantum(160'000) == 10'000);
    CHECK(quantum(1ULL << 40) == 65'536);
}
