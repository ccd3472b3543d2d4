// SPDX-License-Identifier: GPL-3.0-or-later
// The announce scheduler: two days of a node that keeps many records, in a DHT whose puts take half
// a second each, by the number of records. Also how evenly they come, for whoever runs it.
#include "fake_nodes.hpp"
#include "proto/announce_scheduler.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <unordered_map>

namespace flow29::proto {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t hours = 48;
constexpr Duration put_takes = 500ms;

double in_hours(Duration duration) {
    return std::chrono::duration<double, std::ratio<3600>>(duration).count();
}

struct TwoDays {
    std::array<double, hours> puts{};  ///< renewals begun in each hour, first puts left out
    Duration longest{};                ///< between two puts of one record
    std::uint64_t all_puts = 0;
};

TwoDays run(AnnounceScheduler& scheduler) {
    TwoDays seen;
    std::deque<std::pair<TimePoint, ItemId>> in_flight;
    std::unordered_map<ItemId, TimePoint> last;
    auto now = at(0s);
    const auto end = at(std::chrono::hours(hours));
    while (now < end) {
        while (!in_flight.empty() && in_flight.front().first <= now) {
            scheduler.on_put(in_flight.front().second, true, now);
            in_flight.pop_front();
        }
        while (const auto item = scheduler.poll(now)) {
            const auto [known, is_first] = last.try_emplace(*item, now);
            if (!is_first) {
                seen.longest = std::max(seen.longest, now - known->second);
                seen.puts.at(static_cast<std::size_t>((now - at(0s)) / Duration(1h))) += 1;
            }
            known->second = now;
            ++seen.all_puts;
            in_flight.emplace_back(now + put_takes, *item);
        }
        auto next = scheduler.next_deadline().value_or(end);
        if (!in_flight.empty()) next = std::min(next, in_flight.front().first);
        now = std::max(next, now + Duration(1ms));
    }
    return seen;
}

void by_records(benchmark::State& state) {
    std::uint64_t puts = 0;
    for (auto _ : state) {
        AnnounceScheduler scheduler({}, 7);
        for (std::uint32_t i = 0; i < state.range(0); ++i)
            scheduler.add(fake_item(i), true, at(0s));
        const auto seen = run(scheduler);
        puts += seen.all_puts;
        const auto forecast = scheduler.forecast(at(std::chrono::hours(hours)));
        double off = 0;
        for (std::size_t hour = 1; hour < hours; ++hour)  // in the first, all are put once
            off = std::max(off, std::abs(seen.puts.at(hour) / forecast.due_per_hour - 1));
        state.counters["records"] = static_cast<double>(state.range(0));
        state.counters["hour_off"] = off;
        state.counters["longest_hours"] = in_hours(seen.longest);
        state.counters["period_hours"] = in_hours(AnnounceScheduler::Options{}.period);
        state.counters["behind"] = forecast.behind ? 1 : 0;
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(puts));
}

BENCHMARK(by_records)
    ->Name("announce scheduler, two days/records")
    ->Arg(1000)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace flow29::proto
