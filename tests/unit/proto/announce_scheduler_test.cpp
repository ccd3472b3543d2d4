// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/announce_scheduler.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

#include <flow29/limits.hpp>
#include "fake_nodes.hpp"

namespace flow29::proto {
namespace {

using namespace std::chrono_literals;
using Options = AnnounceScheduler::Options;

/// A period that keeps renewals out of what is looked at.
constexpr auto hardly_ever = std::chrono::hours(100'000);

double hours(Duration duration) {
    return std::chrono::duration<double, std::ratio<3600>>(duration).count();
}

/// Puts everything due until `end`, each put taking no time. When what was put.
std::vector<std::pair<TimePoint, ItemId>> run(AnnounceScheduler& scheduler, TimePoint now,
                                              TimePoint end) {
    std::vector<std::pair<TimePoint, ItemId>> puts;
    for (std::size_t step = 0; now < end; ++step) {
        while (const auto item = scheduler.poll(now)) {
            puts.emplace_back(now, *item);
            scheduler.on_put(*item, true, now);
        }
        if (step < 300 || step % 100 == 0) scheduler.check_invariants();  // looks at every item
        const auto next = scheduler.next_deadline();
        if (!next) break;
        REQUIRE(*next > now);
        now = *next;
    }
    return puts;
}

TEST_CASE("a new item is due at once and only once") {
    AnnounceScheduler scheduler({}, 1);
    CHECK_FALSE(scheduler.next_deadline());
    scheduler.add(fake_item(1), true, at(0s));
    scheduler.add(fake_item(1), true, at(0s));
    CHECK(scheduler.next_deadline() == at(0s));
    CHECK(scheduler.poll(at(0s)) == fake_item(1));
    CHECK_FALSE(scheduler.poll(at(1s)));
    CHECK_FALSE(scheduler.next_deadline());
}

TEST_CASE("an item is put again within a period, then every period, with jitter") {
    AnnounceScheduler scheduler({}, 2);
    scheduler.add(fake_item(1), true, at(0s));
    const auto puts = run(scheduler, at(0s), at(12h * 200));
    REQUIRE(puts.size() > 100);
    CHECK(puts[1].first <= at(720min * 120 / 100 + 1s));
    Duration least = 1000h;
    Duration most = 0h;
    for (std::size_t i = 2; i < puts.size(); ++i) {
        least = std::min(least, puts[i].first - puts[i - 1].first);
        most = std::max(most, puts[i].first - puts[i - 1].first);
    }
    CHECK(least >= 720min * 80 / 100);
    CHECK(most <= 720min * 120 / 100 + 1s);
    CHECK(least < 720min * 85 / 100);
    CHECK(most > 720min * 115 / 100);
}

TEST_CASE("what was added together comes due as the forecast says, each hour from the first on") {
    AnnounceScheduler scheduler({}, 3);
    constexpr std::uint32_t items = 6000;
    for (std::uint32_t i = 0; i < items; ++i)
        scheduler.add(fake_item(i), true, at(0s));
    const auto puts = run(scheduler, at(0s), at(72h));
    const double forecast = scheduler.forecast(at(72h)).due_per_hour;
    CHECK(forecast == doctest::Approx(items / 12.0));
    std::vector<double> in_hour(72);
    for (std::size_t i = items; i < puts.size(); ++i)  // the first ones were due at once
        in_hour[static_cast<std::size_t>((puts[i].first - at(0s)) / Duration(1h))] += 1;
    for (const double count : in_hour)
        CHECK(count == doctest::Approx(forecast).epsilon(0.2));
}

TEST_CASE("of a large object about as many extents have a record as is said, of a small one all") {
    const auto records_of = [](std::uint32_t extents) {
        std::size_t records = 0;
        for (std::uint32_t extent = 0; extent < extents; ++extent)
            for (unsigned copy = 0; copy < limits::copies_default; ++copy)
                if (has_extent_record(fake_item(extent), fake_node((extent + 7 * copy) % 32),
                                      extents))
                    ++records;
        return records;
    };
    CHECK(records_of(1) == 4);
    CHECK(records_of(32) == 128);
    for (const std::uint32_t extents : {33U, 256U, 4096U}) {
        CHECK(records_of(extents) > 90);
        CHECK(records_of(extents) < 170);
    }
    CHECK(has_extent_record(fake_item(5), fake_node(1), 256) ==
          has_extent_record(fake_item(5), fake_node(1), 256));
}

/// A DHT whose puts take `put_takes` each: runs until `end`, and the most puts begun in a minute.
struct SlowDht {
    AnnounceScheduler& scheduler;
    Duration put_takes;
    std::deque<std::pair<TimePoint, ItemId>> in_flight{};
    std::unordered_map<ItemId, TimePoint> last{};
    Duration longest{};  // between two puts of one item
    std::map<std::int64_t, std::size_t> by_minute{};

    void run(TimePoint now, TimePoint end) {
        while (now < end) {
            while (!in_flight.empty() && in_flight.front().first <= now) {
                scheduler.on_put(in_flight.front().second, true, now);
                in_flight.pop_front();
            }
            while (const auto item = scheduler.poll(now)) {
                const auto [known, is_first] = last.try_emplace(*item, now);
                if (!is_first) longest = std::max(longest, now - known->second);
                known->second = now;
                ++by_minute[(now - at(0s)) / Duration(1min)];
                in_flight.emplace_back(now + put_takes, *item);
            }
            auto next = scheduler.next_deadline().value_or(end);
            if (!in_flight.empty()) next = std::min(next, in_flight.front().first);
            now = std::max(next, now + Duration(1ms));
        }
    }
    [[nodiscard]] std::size_t most_in_a_minute(TimePoint from) const {
        std::size_t most = 0;
        for (const auto& [minute, count] : by_minute)
            if (minute >= (from - at(0s)) / Duration(1min)) most = std::max(most, count);
        return most;
    }
};

TEST_CASE(
    "a hundred thousand records keep their period, evenly, or the node says that it is behind") {
    constexpr std::uint32_t items = 100'000;
    AnnounceScheduler scheduler({}, 4);
    for (std::uint32_t i = 0; i < items; ++i)
        scheduler.add(fake_item(i), true, at(0s));
    SlowDht dht{scheduler, 500ms};
    dht.run(at(0s), at(48h));
    CHECK(dht.last.size() == items);
    CHECK(dht.longest <= Duration(720min * 120 / 100) + 1min);
    CHECK_FALSE(scheduler.forecast(at(48h)).behind);
    const double per_minute = scheduler.forecast(at(48h)).due_per_hour / 60;
    const auto burst = dht.most_in_a_minute(at(12h));
    MESSAGE("puts a minute: ", per_minute, " on average, ", burst,
            " at most from the 12th hour on");
    CHECK(static_cast<double>(burst) < 2 * per_minute);

    // 32 in flight for 20 s each are 1.6 a second; 2.3 are due.
    dht.put_takes = 20s;
    dht.run(at(48h), at(60h));
    CHECK(scheduler.forecast(at(60h)).behind);
    dht.put_takes = 500ms;
    dht.run(at(60h), at(62h));
    CHECK_FALSE(scheduler.forecast(at(62h)).behind);
}

TEST_CASE("of a hundred thousand extents as many have a record as the budget pays for") {
    constexpr std::uint32_t items = 100'000;
    AnnounceScheduler scheduler({}, 5);
    for (std::uint32_t i = 0; i < items; ++i)
        scheduler.add(fake_item(i), false, at(0s));
    SlowDht dht{scheduler, 500ms};
    dht.run(at(0s), at(36h));
    const auto forecast = scheduler.forecast(at(36h));
    CHECK(forecast.records == 24'000);
    CHECK(forecast.due_per_hour <= Options{}.puts_per_hour_max);
    CHECK_FALSE(forecast.behind);
    CHECK(dht.longest <= Duration(720min * 120 / 100) + 1min);
}

TEST_CASE("no second holds more than the allowed number of puts") {
    Options options;
    options.period = hardly_ever;
    options.per_second = 7;
    AnnounceScheduler scheduler(options, 4);
    for (std::uint32_t i = 0; i < 100; ++i)
        scheduler.add(fake_item(i), true, at(0s));
    const auto puts = run(scheduler, at(0s), at(1h));
    REQUIRE(puts.size() == 100);
    for (std::size_t i = 7; i < puts.size(); ++i)
        CHECK(puts[i].first - puts[i - 7].first >= 1s);
    CHECK(puts.back().first < at(15s));
}

TEST_CASE("only so many puts are in flight, the oldest due first") {
    Options options;
    options.in_flight_max = 3;
    options.per_second = 1000;
    AnnounceScheduler scheduler(options, 5);
    for (std::uint32_t i = 0; i < 6; ++i)
        scheduler.add(fake_item(5 - i), true, at(-10s + 1s * i));
    std::vector<ItemId> order;
    for (int i = 0; i < 10; ++i)
        if (const auto item = scheduler.poll(at(1s * i))) order.push_back(*item);
    CHECK(order == std::vector{fake_item(5), fake_item(4), fake_item(3)});
    CHECK_FALSE(scheduler.next_deadline());
    scheduler.on_put(fake_item(4), true, at(10s));
    CHECK(scheduler.poll(at(10s)) == fake_item(2));
    CHECK_FALSE(scheduler.poll(at(11s)));
    scheduler.check_invariants();
}

TEST_CASE("a removed item whose put is in flight still takes its place there") {
    Options options;
    options.in_flight_max = 1;
    AnnounceScheduler scheduler(options, 6);
    scheduler.add(fake_item(1), true, at(0s));
    scheduler.add(fake_item(2), true, at(1s));
    CHECK(scheduler.poll(at(1s)) == fake_item(1));
    scheduler.remove(fake_item(1));
    CHECK_FALSE(scheduler.poll(at(2s)));
    scheduler.add(fake_item(1), true, at(2s));  // and back
    scheduler.check_invariants();
    scheduler.on_put(fake_item(1), true, at(3s));
    scheduler.on_put(fake_item(1), true, at(3s));  // of nothing
    CHECK(scheduler.poll(at(3s)) == fake_item(2));
    scheduler.on_put(fake_item(2), true, at(3s));
    CHECK(*scheduler.next_deadline() > at(3s));
    scheduler.remove(fake_item(1));
    scheduler.remove(fake_item(2));
    scheduler.remove(fake_item(3));
    CHECK_FALSE(scheduler.next_deadline());
    CHECK(scheduler.forecast(at(3s)).records == 0);
    scheduler.check_invariants();
}

TEST_CASE("everything is due again, spread out, when the network doubles") {
    AnnounceScheduler scheduler({.period = hardly_ever}, 7);
    for (std::uint32_t i = 0; i < 200; ++i)
        scheduler.add(fake_item(i), true, at(0s));
    scheduler.on_network_size(16, at(0s));  // the first estimate is no doubling
    CHECK(run(scheduler, at(0s), at(1h)).size() == 200);
    scheduler.on_network_size(31, at(1h));
    scheduler.on_network_size(0, at(1h));
    CHECK(run(scheduler, at(1h), at(2h)).empty());
    scheduler.on_network_size(32, at(2h));
    const auto puts = run(scheduler, at(2h), at(3h));
    REQUIRE(puts.size() == 200);
    CHECK(puts.back().first <= at(2h + 10min + 5s));
    CHECK(puts.back().first - puts.front().first > 9min);
    CHECK(puts[100].first - puts.front().first > 3min);
    scheduler.on_network_size(40, at(4h));  // measured from 32 now
    CHECK(run(scheduler, at(4h), at(5h)).empty());
    scheduler.on_network_size(64, at(5h));
    CHECK(run(scheduler, at(5h), at(6h)).size() == 200);
}

TEST_CASE("everything is due again, soon, when the node is found by another family as well") {
    AnnounceScheduler scheduler({.period = hardly_ever}, 7);
    for (std::uint32_t i = 0; i < 200; ++i)
        scheduler.add(fake_item(i), true, at(0s));
    CHECK(run(scheduler, at(0s), at(1h)).size() == 200);
    scheduler.on_new_family(at(1h));
    const auto puts = run(scheduler, at(1h), at(2h));
    REQUIRE(puts.size() == 200);
    CHECK(puts.back().first <= at(1h + 20s + 5s));
    CHECK(puts.back().first - puts.front().first > 15s);
    for (std::uint32_t i = 200; i < 8'000; ++i)
        scheduler.add(fake_item(i), true, at(2h));
    CHECK(run(scheduler, at(2h), at(3h)).size() == 7'800);
    scheduler.on_new_family(at(3h));
    const auto many = run(scheduler, at(3h), at(4h));
    REQUIRE(many.size() == 8'000);
    CHECK(many.back().first <= at(3h + 10min + 5s));
    scheduler.check_invariants();
}

TEST_CASE("doubling is noticed again after the network shrank") {
    AnnounceScheduler scheduler({}, 8);
    scheduler.add(fake_item(1), true, at(0s));
    scheduler.on_network_size(128, at(0s));
    CHECK(run(scheduler, at(0s), at(1h)).size() == 1);
    scheduler.on_network_size(16, at(1h));
    scheduler.on_network_size(32, at(2h));
    CHECK(run(scheduler, at(2h), at(3h)).size() == 1);
}

TEST_CASE("a put in flight while the network doubles is repeated") {
    AnnounceScheduler scheduler({}, 9);
    scheduler.add(fake_item(1), true, at(0s));
    scheduler.on_network_size(10, at(0s));
    CHECK(scheduler.poll(at(0s)));
    scheduler.on_network_size(20, at(1s));
    scheduler.check_invariants();
    scheduler.on_put(fake_item(1), true, at(2s));
    CHECK(*scheduler.next_deadline() <= at(1s + 10min));
    scheduler.check_invariants();
}

TEST_CASE("optional items have a record only while the forecast allows") {
    Options options;
    options.period = hardly_ever;
    options.puts_per_hour_max = 10 / hours(hardly_ever);
    AnnounceScheduler scheduler(options, 10);
    for (std::uint32_t i = 0; i < 15; ++i)
        scheduler.add(fake_item(i), false, at(0s));
    CHECK(scheduler.forecast(at(0s)).records == 10);
    CHECK(scheduler.forecast(at(0s)).due_per_hour * hours(hardly_ever) == doctest::Approx(10));
    CHECK(run(scheduler, at(0s), at(10min)).size() == 10);

    SUBCASE("they give way to those that must, the last added first") {
        for (std::uint32_t i = 100; i < 104; ++i)
            scheduler.add(fake_item(i), true, at(10min));
        CHECK(scheduler.forecast(at(10min)).records == 10);
        std::set<ItemId> seen;
        for (const auto& [time, item] : run(scheduler, at(10min), at(2 * hardly_ever)))
            seen.insert(item);
        CHECK(seen.size() == 10);
        CHECK(seen.contains(fake_item(5)));
        CHECK_FALSE(seen.contains(fake_item(6)));
    }
    SUBCASE("those that must are never left out") {
        for (std::uint32_t i = 100; i < 130; ++i)
            scheduler.add(fake_item(i), true, at(10min));
        CHECK(scheduler.forecast(at(10min)).records == 30);
        CHECK(run(scheduler, at(10min), at(20min)).size() == 30);
    }
    SUBCASE("one gets its record when there is room again") {
        scheduler.remove(fake_item(0));
        scheduler.remove(fake_item(1));
        CHECK(scheduler.next_deadline() < at(10min));
        const auto first = scheduler.poll(at(10min));
        CHECK_FALSE(scheduler.forecast(at(10min)).behind);  // by the one whose turn is next
        CHECK(scheduler.forecast(at(10min)).records == 10);
        const auto puts = run(scheduler, at(10min), at(20min));
        REQUIRE(puts.size() == 1);
        CHECK(std::set{*first, puts[0].second} == std::set{fake_item(10), fake_item(11)});
    }
    SUBCASE("one that becomes a must is put although there is no room") {
        scheduler.add(fake_item(14), true, at(10min));
        CHECK(scheduler.forecast(at(10min)).records == 10);
        CHECK(scheduler.poll(at(10min)) == fake_item(14));
        scheduler.add(fake_item(14), false, at(10min));  // stays a must
        scheduler.remove(fake_item(13));
        CHECK(scheduler.forecast(at(10min)).records == 10);
    }
    scheduler.check_invariants();
}

TEST_CASE("a put that failed is due again after the retry time") {
    AnnounceScheduler scheduler({}, 11);
    scheduler.add(fake_item(1), true, at(0s));
    CHECK(scheduler.poll(at(0s)));
    scheduler.on_put(fake_item(1), false, at(5s));
    CHECK(scheduler.next_deadline() == at(25s));
    CHECK_FALSE(scheduler.poll(at(25s - 1ns)));
    CHECK(scheduler.poll(at(25s)) == fake_item(1));
}

TEST_CASE("the forecast says whether the node is behind") {
    AnnounceScheduler scheduler({}, 12);
    scheduler.add(fake_item(1), true, at(0s));
    scheduler.add(fake_item(2), true, at(0s));
    CHECK(scheduler.forecast(at(0s)).due_per_hour == doctest::Approx(2.0 / 12));
    CHECK_FALSE(scheduler.forecast(at(72min)).behind);
    CHECK(scheduler.forecast(at(72min + 1s)).behind);
    (void)run(scheduler, at(72min), at(73min));
    CHECK_FALSE(scheduler.forecast(at(73min)).behind);
}

TEST_CASE("every record is renewed in time under random adding, removing and failing") {
    for (unsigned seed = 1; seed <= 10; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        Options options;
        options.period = 1h;
        options.puts_per_hour_max = 1e9;
        AnnounceScheduler scheduler(options, seed);
        std::map<ItemId, TimePoint> last_ok;  // added, or put
        std::multimap<TimePoint, ItemId> in_flight;
        TimePoint now = at(0s);
        for (unsigned step = 0; step < 5000; ++step) {
            now += std::chrono::milliseconds(random() % 4000);
            const ItemId item = fake_item(static_cast<std::uint32_t>(random() % 50));
            if (random() % 10 == 0) {
                scheduler.add(item, random() % 2 == 0, now);
                last_ok.try_emplace(item, now);
            } else if (random() % 40 == 0) {
                scheduler.remove(item);
                last_ok.erase(item);
            }
            while (!in_flight.empty() && in_flight.begin()->first <= now) {
                const ItemId done = in_flight.begin()->second;
                in_flight.erase(in_flight.begin());
                const bool ok = random() % 5 != 0;
                scheduler.on_put(done, ok, now);
                if (ok && last_ok.contains(done)) last_ok[done] = now;
            }
            while (const auto polled = scheduler.poll(now))
                in_flight.emplace(now + std::chrono::milliseconds(random() % 10'000), *polled);
            scheduler.check_invariants();
            for (const auto& [known, time] : last_ok)
                REQUIRE(now - time < 72min + 10min);
        }
    }
}

}  // namespace
}  // namespace flow29::proto
