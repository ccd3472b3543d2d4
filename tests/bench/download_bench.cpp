// SPDX-License-Identifier: GPL-3.0-or-later
// The download planner: whole downloads, each piece asked for, delivered and followed by the
// questions that the node asks, by the number of extents and of holders.
#include "fake_nodes.hpp"
#include "proto/download_planner.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <deque>

namespace flow29::proto {
namespace {

constexpr unsigned extent_level = 11;  // 1 MiB: one piece each
constexpr std::uint64_t extent_bytes = limits::chunk_bytes << extent_level;

enum class Holding { everything, tenth };

struct Case {
    std::uint64_t extents;
    std::uint32_t holders;
    Holding holding;
};

DownloadPlanner make_planner(const Case& c, const core::Layout& layout) {
    DownloadPlanner planner(layout, {ByteCount(0), layout.length()}, {}, {});
    for (std::uint32_t holder = 0; holder < c.holders; ++holder) {
        const NodeId id = fake_node(holder);
        planner.add_peer(id, at({}));
        if (c.holding == Holding::everything) {
            planner.set_holds_all(id);
            continue;
        }
        for (std::uint64_t extent = holder % 10; extent < c.extents; extent += 10)
            planner.set_holds(id, ExtentIndex(extent));
    }
    return planner;
}

/// Returns how many requests there were.
std::uint64_t download(DownloadPlanner& planner) {
    std::deque<DownloadPlanner::Request> under_way;
    Duration now{};
    std::uint64_t requests = 0;
    while (!planner.done()) {
        while (auto request = planner.poll_request(at(now))) {
            under_way.push_back(*request);
            ++requests;
        }
        benchmark::DoNotOptimize(planner.next_deadline(at(now)));
        if (under_way.empty()) std::abort();
        now += std::chrono::microseconds(100);
        const auto piece = under_way.front();
        under_way.pop_front();
        benchmark::DoNotOptimize(planner.on_piece(piece.piece, piece.peer, at(now)));
    }
    return requests;
}

void run(benchmark::State& state, const Case& c) {
    const core::Layout layout(ByteCount(c.extents * extent_bytes), extent_level);
    std::uint64_t requests = 0;
    for (auto _ : state) {
        state.PauseTiming();
        DownloadPlanner planner = make_planner(c, layout);
        state.ResumeTiming();
        requests += download(planner);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(requests));
}

void by_extents(benchmark::State& state) {
    run(state, {static_cast<std::uint64_t>(state.range(0)), 32, Holding::everything});
}
void by_extents_scattered(benchmark::State& state) {
    run(state, {static_cast<std::uint64_t>(state.range(0)), 40, Holding::tenth});
}
void by_holders(benchmark::State& state) {
    run(state, {10'000, static_cast<std::uint32_t>(state.range(0)), Holding::everything});
}

BENCHMARK(by_extents)
    ->Name("download planner, 32 holders/extents")
    ->RangeMultiplier(4)
    ->Range(1024, 65536)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(by_extents_scattered)
    ->Name("download planner, 40 holders of a tenth/extents")
    ->RangeMultiplier(4)
    ->Range(1024, 65536)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(by_holders)
    ->Name("download planner, 10000 extents/holders")
    ->Arg(16)
    ->Arg(64)
    ->Arg(256)
    ->Arg(1000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace flow29::proto
