// SPDX-License-Identifier: GPL-3.0-or-later
// Hashes, trees, proofs and range sets, by the number of chunks.
#include "core/hash.hpp"
#include "core/layout.hpp"
#include "core/merkle.hpp"
#include "core/range_set.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <random>

namespace flow29::core {
namespace {

constexpr unsigned group_level = 5;  // 16 KiB, as stores keep it
constexpr std::uint64_t range_chunks = 256;

Bytes noise(std::uint64_t chunks) {
    std::mt19937_64 random(29);
    Bytes data(chunks * limits::chunk_bytes);
    for (auto& octet : data)
        octet = static_cast<std::uint8_t>(random());
    return data;
}

std::uint64_t size_of(const benchmark::State& state) {
    return static_cast<std::uint64_t>(state.range(0));
}

void count_chunks(benchmark::State& state, std::uint64_t chunks) {
    const auto all = static_cast<std::int64_t>(chunks) * state.iterations();
    state.SetItemsProcessed(all);
    state.SetBytesProcessed(all * static_cast<std::int64_t>(limits::chunk_bytes));
}

void leaves(benchmark::State& state) {
    const Bytes data = noise(size_of(state));
    std::vector<ChunkHash> out(size_of(state));
    for (auto _ : state) {
        leaf_hashes(data, out);
        benchmark::DoNotOptimize(out.data());
    }
    count_chunks(state, size_of(state));
}

void tree(benchmark::State& state) {
    const Bytes data = noise(size_of(state));
    for (auto _ : state)
        benchmark::DoNotOptimize(tree_hash(data));
    count_chunks(state, size_of(state));
}

void tree_from_leaves(benchmark::State& state) {
    const std::vector<TreeHash> nodes(size_of(state), empty_tree_hash());
    for (auto _ : state)
        benchmark::DoNotOptimize(fold(nodes));
    state.SetItemsProcessed(static_cast<std::int64_t>(nodes.size()) * state.iterations());
}

/// Of ranges of 128 KiB on the borders of groups, one after the other.
void proof_make(benchmark::State& state) {
    const GroupTree groups = GroupTree::build(noise(size_of(state)), group_level);
    std::uint64_t first = 0;
    for (auto _ : state) {
        const ChunkRange range{ChunkIndex(first), ChunkIndex(first + range_chunks)};
        benchmark::DoNotOptimize(groups.prove(range, {}));
        first = (first + range_chunks) % size_of(state);
    }
    state.SetItemsProcessed(state.iterations());
}

/// The same ranges, checked: data hashed, proof folded.
void proof_verify(benchmark::State& state) {
    const Bytes data = noise(size_of(state));
    const GroupTree groups = GroupTree::build(data, group_level);
    const TreeHash top = groups.top();
    const ChunkRange range{ChunkIndex(range_chunks), ChunkIndex(2 * range_chunks)};
    const Proof proof = groups.prove(range, {});
    const ByteView part = ByteView(data).subspan(range_chunks * limits::chunk_bytes,
                                                 range_chunks * limits::chunk_bytes);
    for (auto _ : state) {
        const auto verified = verify_range(top, groups.chunks(), range, part, proof);
        if (!verified) std::abort();
    }
    count_chunks(state, range_chunks);
}

/// Every other value in no order, then the others: as many intervals as there can be, then one.
void range_set(benchmark::State& state) {
    std::vector<std::uint64_t> order(size_of(state));
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = 2 * i;
    std::shuffle(order.begin(), order.end(), std::mt19937_64(29));
    for (auto _ : state) {
        RangeSet set;
        for (const std::uint64_t value : order)
            set.insert(value, value + 1);
        for (const std::uint64_t value : order)
            set.insert(value + 1, value + 2);
        if (set.intervals().size() != 1) std::abort();
    }
    state.SetItemsProcessed(2 * static_cast<std::int64_t>(order.size()) * state.iterations());
}

BENCHMARK(leaves)->Name("leaf hashes/chunks")->RangeMultiplier(4)->Range(2048, 131072);
BENCHMARK(tree)->Name("tree/chunks")->RangeMultiplier(4)->Range(2048, 131072);
BENCHMARK(tree_from_leaves)
    ->Name("tree from leaves/chunks")
    ->RangeMultiplier(4)
    ->Range(2048, 131072);
BENCHMARK(proof_make)->Name("proof, make/chunks")->RangeMultiplier(4)->Range(2048, 131072);
BENCHMARK(proof_verify)->Name("proof, verify/chunks")->RangeMultiplier(4)->Range(2048, 131072);
BENCHMARK(range_set)->Name("range set/intervals")->RangeMultiplier(4)->Range(1024, 65536);

}  // namespace
}  // namespace flow29::core
