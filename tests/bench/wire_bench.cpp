// SPDX-License-Identifier: GPL-3.0-or-later
// Encoding and decoding what nodes say to each other most, and the longest of it.
#include "fake_nodes.hpp"
#include "proto/message.hpp"
#include "samples.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>

namespace flow29::proto {
namespace {

void encode(benchmark::State& state, const Message& message, std::int64_t items) {
    std::size_t bytes = 0;
    for (auto _ : state) {
        const Bytes head = encode_head(1, message);
        bytes += head.size();
    }
    state.SetItemsProcessed(items * state.iterations());
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

void decode(benchmark::State& state, const Message& message, std::int64_t items) {
    const Bytes head = encode_head(1, message);
    for (auto _ : state)
        if (!decode_head(head)) std::abort();
    state.SetItemsProcessed(items * state.iterations());
    state.SetBytesProcessed(static_cast<std::int64_t>(head.size()) * state.iterations());
}

Message get_range() {
    return GetRange{
        sample_id<ExtentHash>(2), ByteCount(1 << 20), {ChunkIndex(0), ChunkIndex(2048)}};
}

/// With so many hashes.
Message range_reply(std::int64_t hashes) {
    return RangeReply{core::Proof(static_cast<std::size_t>(hashes), sample_id<TreeHash>(4))};
}

/// Of so many extents, each with four holders. The records of these are signed, and there is one
/// alone, so that what is seen is the table and not the checking of signatures.
Message holder_table(std::int64_t extents) {
    HolderTable table{sample_id<RootHash>(3), {sample_record()}, {}};
    for (std::int64_t extent = 0; extent < extents; ++extent)
        table.entries.push_back({fake_item(static_cast<std::uint32_t>(extent)), {0}});
    return table;
}

/// So many records, each with a signature to be checked.
Message closest_reply(std::int64_t records) {
    return ClosestReply{
        std::vector<NodeRecord>(static_cast<std::size_t>(records), sample_record())};
}

BENCHMARK_CAPTURE(encode, get_range, get_range(), 1)->Name("GetRange, encode");
BENCHMARK_CAPTURE(decode, get_range, get_range(), 1)->Name("GetRange, decode");

void encode_reply(benchmark::State& state) {
    encode(state, range_reply(state.range(0)), state.range(0));
}
void decode_reply(benchmark::State& state) {
    decode(state, range_reply(state.range(0)), state.range(0));
}
void encode_table(benchmark::State& state) {
    encode(state, holder_table(state.range(0)), state.range(0));
}
void decode_table(benchmark::State& state) {
    decode(state, holder_table(state.range(0)), state.range(0));
}
void decode_records(benchmark::State& state) {
    decode(state, closest_reply(state.range(0)), state.range(0));
}

BENCHMARK(encode_reply)->Name("RangeReply, encode/hashes")->Arg(4)->Arg(16);
BENCHMARK(decode_reply)->Name("RangeReply, decode/hashes")->Arg(4)->Arg(16);
BENCHMARK(encode_table)->Name("HolderTable, encode/items")->RangeMultiplier(4)->Range(64, 4096);
BENCHMARK(decode_table)->Name("HolderTable, decode/items")->RangeMultiplier(4)->Range(64, 4096);
BENCHMARK(decode_records)->Name("node records, decode/records")->Arg(1)->Arg(4)->Arg(16);

}  // namespace
}  // namespace flow29::proto
