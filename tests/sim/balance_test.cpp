// SPDX-License-Identifier: GPL-3.0-or-later
#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <random>

#include "proto/node_table.hpp"

using namespace flow29;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t keys = 20'000;
constexpr unsigned copies = 4;
constexpr std::uint64_t gib = 1ULL << 30;

/// A storing node of an address group of its own, up for a day.
proto::NodeRecord make_record(std::mt19937_64& random, std::size_t number, ByteCount capacity) {
    proto::NodeRecord record;
    for (auto& octet : record.key.bytes)
        octet = static_cast<std::uint8_t>(random());
    const Bytes octets{10, static_cast<std::uint8_t>(number / 250),
                       static_cast<std::uint8_t>(number % 250), 1};
    record.addresses = {*core::Endpoint::from_octets(octets, 2929)};
    record.capacity_class = core::capacity_class_of(capacity);
    record.storing = true;
    record.started_ms = 1;
    record.sequence = 1;
    return record;
}

/// How many nodes have this many GiB.
using Mix = std::map<std::uint64_t, std::size_t>;

/// What each kind of node is given to store, over what its capacity is due.
std::map<std::uint64_t, double> shares(const Mix& mix, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    proto::NodeTable table({});
    const TimePoint now{};
    std::map<NodeId, std::uint64_t> size_of;
    std::uint64_t total = 0;
    for (const auto& [size, count] : mix)
        for (std::size_t i = 0; i < count; ++i) {
            const auto record = make_record(random, size_of.size(), ByteCount(size * gib));
            table.on_alive(record, now);
            size_of[record.node()] = size;
            total += size;
        }
    std::map<std::uint64_t, std::uint64_t> given;
    for (std::uint64_t k = 0; k < keys; ++k) {
        DhtKey key;
        for (auto& octet : key.bytes)
            octet = static_cast<std::uint8_t>(random());
        const auto ranked = table.candidates(key, now, from_unix_ms(86'400'000));
        for (unsigned i = 0; i < copies; ++i)
            ++given[size_of.at(ranked[i].id)];
    }
    std::map<std::uint64_t, double> result;
    for (const auto& [size, count] : mix) {
        const auto due =
            static_cast<double>(keys * copies * size * count) / static_cast<double>(total);
        result[size] = static_cast<double>(given[size]) / due;
        MESSAGE("seed " << seed << ": " << count << " nodes of " << size << "x hold "
                        << result[size] << " of what is due to them");
    }
    return result;
}

}  // namespace

TEST_CASE("what a class of nodes stores is within 15 % of what its capacity is due") {
    for (const std::uint64_t seed : {1, 2, 3})
        for (const auto& [size, share] : shares({{1, 100}, {4, 100}, {8, 100}}, seed)) {
            CAPTURE(size);
            CHECK(share > 0.85);
            CHECK(share < 1.15);
        }
}

TEST_CASE("a few large nodes among many small ones store what they are due as well") {
    for (const auto& [size, share] : shares({{1, 240}, {8, 60}}, 4)) {
        CAPTURE(size);
        CHECK(share > 0.85);
        CHECK(share < 1.15);
    }
}
