// SPDX-License-Identifier: GPL-3.0-or-later
// The copy planner: publishing items to four nodes each, by the number of items and of nodes; the
// choice of candidates alone; and what it costs that a node goes.
#include "fake_nodes.hpp"
#include "proto/copy_planner.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>

namespace flow29::proto {
namespace {

constexpr unsigned copies = 4;
constexpr ByteCount item_bytes{1024 * 1024};

struct World {
    NodeTable table{{.self = fake_node(0)}};
    CopyPlanner planner;

    World(std::uint32_t nodes, std::uint32_t items)
        : planner(table, {.self = fake_node(0), .self_is_copy = false, .always_act = true}) {
        for (std::uint32_t node = 1; node <= nodes; ++node)
            table.on_alive(fake_record(node), at({}));
        for (std::uint32_t item = 0; item < items; ++item)
            planner.add_item(fake_item(item), RootHash{}, item_bytes, copies);
    }

    /// Every invitation is taken up at once. Returns how many there were.
    std::uint64_t publish() {
        std::uint64_t invitations = 0;
        while (const auto invitation = planner.poll_invite(at({}), wall({}))) {
            planner.on_answer(invitation->item, invitation->target, InviteAnswer::accepted, at({}));
            planner.on_copy(invitation->item, invitation->target, at({}));
            benchmark::DoNotOptimize(planner.next_deadline());
            ++invitations;
        }
        return invitations;
    }
};

void run(benchmark::State& state, std::uint32_t nodes, std::uint32_t items) {
    std::uint64_t invitations = 0;
    for (auto _ : state) {
        state.PauseTiming();
        auto world = std::make_unique<World>(nodes, items);
        state.ResumeTiming();
        invitations += world->publish();
        state.PauseTiming();
        world.reset();
        state.ResumeTiming();
    }
    if (invitations != items * copies * static_cast<std::uint64_t>(state.iterations()))
        std::abort();
    state.SetItemsProcessed(static_cast<std::int64_t>(invitations));
}

void by_items(benchmark::State& state) {
    run(state, 32, static_cast<std::uint32_t>(state.range(0)));
}
void by_nodes(benchmark::State& state) {
    run(state, static_cast<std::uint32_t>(state.range(0)), 1000);
}

void candidates(benchmark::State& state) {
    const World world(static_cast<std::uint32_t>(state.range(0)), 0);
    std::uint32_t item = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(
            world.table.candidates(fake_item(item++).key(core::KeySpace()), at({}), wall({})));
    state.SetItemsProcessed(state.iterations());
}

/// A node that has all items goes, is gone, and comes back. Up to as many as no cache holds: each
/// of them costs a dozen times as much by then, and no more beyond that.
void node_goes(benchmark::State& state) {
    const auto items = static_cast<std::uint32_t>(state.range(0));
    World world(copies, items);
    world.publish();
    const NodeRecord record = fake_record(1);
    for (auto _ : state) {
        world.table.on_goodbye(record.node(), at({}));
        world.planner.on_node_changed(record.node(), at({}));
        benchmark::DoNotOptimize(world.planner.counts());
        world.table.on_alive(record, at({}));
        world.planner.on_node_changed(record.node(), at({}));
    }
    state.SetItemsProcessed(2 * static_cast<std::int64_t>(items) * state.iterations());
}

BENCHMARK(by_items)
    ->Name("copy planner, 32 nodes/items")
    ->RangeMultiplier(4)
    ->Range(256, 16384)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(by_nodes)
    ->Name("copy planner, 1000 items/nodes")
    ->RangeMultiplier(4)
    ->Range(16, 1024)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(candidates)->Name("candidates of a key/nodes")->RangeMultiplier(4)->Range(16, 1024);
BENCHMARK(node_goes)
    ->Name("copy planner, a holder goes and returns/items")
    ->RangeMultiplier(4)
    ->Range(1024, 1048576);

}  // namespace
}  // namespace flow29::proto
