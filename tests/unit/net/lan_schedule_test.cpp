// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/lan_schedule.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace flow29;
using namespace std::chrono_literals;
using net::LanSchedule;
using Step = LanSchedule::Step;

namespace {

constexpr TimePoint start{1000s};

/// The moments at which a call is due in that time, as seconds after the start, everything else
/// being taken too.
std::vector<long> calls(LanSchedule& schedule, TimePoint from, Duration length) {
    std::vector<long> at;
    for (auto now = from; now <= from + length; now += 500ms)
        while (const auto step = schedule.poll(now))
            if (*step == Step::call)
                at.push_back(
                    std::chrono::duration_cast<std::chrono::milliseconds>(now - start).count());
    return at;
}

}  // namespace

TEST_CASE("a node calls at once, soon again, and then once a minute") {
    LanSchedule schedule;
    CHECK(calls(schedule, start, 3min) ==
          std::vector<long>{0, 2'000, 10'000, 30'000, 90'000, 150'000});
    CHECK(schedule.next_deadline() == start + 210s);
}

TEST_CASE("newcomers are answered, however many there are, once a second") {
    LanSchedule schedule;
    REQUIRE(calls(schedule, start, 1min).size() == 4);
    std::vector<long> at;
    for (auto now = start + 61s; now < start + 66s; now += 100ms) {
        schedule.on_newcomer();
        for (const auto one : calls(schedule, now, 0s))
            at.push_back(one);
    }
    CHECK(at == std::vector<long>{61'000, 62'000, 63'000, 64'000, 65'000});
}

TEST_CASE("a network that comes is called on as if the node had just started") {
    LanSchedule schedule;
    REQUIRE(calls(schedule, start, 1min).size() == 4);
    schedule.on_network_changed(start + 1min);
    schedule.on_network_changed(start + 1min + 200ms);
    CHECK(schedule.next_deadline() == start + 61s);
    CHECK_FALSE(schedule.poll(start + 60s + 999ms));
    CHECK(schedule.poll(start + 61s) == Step::look);
    CHECK_FALSE(schedule.poll(start + 61s));
    schedule.on_new_source();
    CHECK(calls(schedule, start + 61s, 1min) == std::vector<long>{61'000, 63'000, 71'000, 91'000});
}

TEST_CASE("a change that brings no new address costs a look a second and no call") {
    LanSchedule schedule;
    REQUIRE(calls(schedule, start, 31s).size() == 4);
    unsigned looks = 0;
    for (auto now = start + 32s; now < start + 42s; now += 10ms) {
        schedule.on_network_changed(now);
        const auto step = schedule.poll(now);
        CHECK((!step || step == Step::look));
        if (step) ++looks;
    }
    CHECK(looks <= 10);
    CHECK(looks >= 9);
    CHECK(schedule.next_deadline() <= start + 90s);
}
