// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/name_schedule.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

using namespace flow29;
using namespace std::chrono_literals;
using proto::NameSchedule;
using Names = std::vector<std::string>;

namespace {

constexpr TimePoint start{1h};
constexpr auto alone = true;
constexpr auto in_company = false;

/// When a name is looked up, from `now` on, if it is answered at once and always the same.
std::vector<std::chrono::seconds> looked_up_at(NameSchedule& schedule, std::string_view problem,
                                               bool is_alone, TimePoint now, Duration until) {
    std::vector<std::chrono::seconds> times;
    for (Duration passed{}; passed < until; passed += 1s)
        for (const auto& name : schedule.poll_look_ups(now + passed, is_alone)) {
            times.push_back(std::chrono::duration_cast<std::chrono::seconds>(passed));
            schedule.on_outcome(name, problem, now + passed);
        }
    return times;
}

}  // namespace

TEST_CASE("all names are looked up at once, and one that is not answered keeps none waiting") {
    NameSchedule schedule({"silent:1", "known:1", "silent:1"});
    CHECK(schedule.is_awaited());
    CHECK(schedule.poll_look_ups(start, alone) == Names{"silent:1", "known:1"});
    schedule.on_outcome("known:1", "", start);
    CHECK(schedule.is_awaited());
    CHECK(schedule.poll_look_ups(start + 1h, alone) == Names{"known:1"});
    schedule.on_outcome("silent:1", "no such name", start + 1h);
    CHECK_FALSE(schedule.is_awaited());
}

TEST_CASE("so many are looked up at the same time, and one more when one has ended") {
    Names names;
    for (std::size_t i = 0; i <= NameSchedule::at_once_max; ++i)
        names.push_back(fmt::format("name{}:1", i));
    NameSchedule schedule(names);
    CHECK(schedule.poll_look_ups(start, alone).size() == NameSchedule::at_once_max);
    CHECK(schedule.poll_look_ups(start, alone).empty());
    schedule.on_outcome("name3:1", "", start);
    CHECK(schedule.poll_look_ups(start, alone) == Names{names.back()});
}

TEST_CASE("a name without an address is looked up again, after ever longer pauses") {
    for (const bool is_alone : {alone, in_company}) {
        NameSchedule schedule({"unknown:1"});
        const auto times = looked_up_at(schedule, "no such name", is_alone, start, 4min);
        const std::vector<std::chrono::seconds> expected{0s, 1s, 3s, 7s, 15s, 31s, 63s, 123s, 183s};
        CHECK(times == expected);
    }
}

TEST_CASE("a name with addresses is looked up again while nobody is connected") {
    NameSchedule schedule({"known:1"});
    CHECK(looked_up_at(schedule, "", in_company, start, 1h) ==
          std::vector<std::chrono::seconds>{0s});
    const std::vector<std::chrono::seconds> expected{0s, 1s, 3s, 7s};
    CHECK(looked_up_at(schedule, "", alone, start + 1h, 8s) == expected);
    CHECK(looked_up_at(schedule, "", in_company, start + 2h, 1h).empty());
    CHECK(looked_up_at(schedule, "", alone, start + 3h, 8s) == expected);
}

TEST_CASE("what became of a name is news once, and a problem ends with an address") {
    NameSchedule schedule({"first:1", "second:1", "third:1"});
    CHECK(schedule.problem().empty());
    (void)schedule.poll_look_ups(start, alone);
    CHECK(schedule.on_outcome("first:1", "no such name", start));
    CHECK(schedule.problem() == "bootstrap first:1: no such name");
    schedule.on_outcome("second:1", "", start);
    schedule.on_outcome("third:1", "no such name", start);
    CHECK(schedule.problem() ==
          "bootstrap first:1: no such name, and 1 more names without an address");

    (void)schedule.poll_look_ups(start + 1min, alone);
    CHECK_FALSE(schedule.on_outcome("first:1", "no such name", start + 1min));
    CHECK(schedule.on_outcome("third:1", "", start + 1min));
    (void)schedule.poll_look_ups(start + 2min, alone);
    CHECK(schedule.on_outcome("first:1", "", start + 2min));
    CHECK_FALSE(schedule.on_outcome("third:1", "", start + 2min));
    CHECK(schedule.problem().empty());
}
