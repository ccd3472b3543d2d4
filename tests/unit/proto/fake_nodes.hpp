// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstring>

#include "core/time.hpp"
#include "proto/message.hpp"
#include "proto/record.hpp"

/// Nodes, items and times for tests of what decides.
namespace flow29::proto {

/// A storing node of its own address group, up for a day at `wall(0)`; unsigned, for nobody checks.
inline NodeRecord fake_record(std::uint32_t number) {
    NodeRecord record;
    std::memcpy(record.key.bytes.data(), &number, sizeof number);
    core::Endpoint endpoint;
    endpoint.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};
    endpoint.address[13] = static_cast<std::uint8_t>(number >> 8);
    endpoint.address[14] = static_cast<std::uint8_t>(number);
    endpoint.port = 2929;
    record.addresses = {endpoint};
    record.storing = true;
    record.started_ms = 1'000'000'000;
    record.sequence = 1;
    return record;
}

inline NodeId fake_node(std::uint32_t number) {
    return fake_record(number).node();
}

inline ItemId fake_item(std::uint32_t number) {
    ExtentHash hash;
    for (std::size_t i = 0; i < 8; ++i)
        hash.bytes[i] = static_cast<std::uint8_t>((number + 1) * 2654435761U >> (i % 4 * 8));
    std::memcpy(hash.bytes.data() + 8, &number, sizeof number);
    return ItemId::of(hash);
}

inline TimePoint at(Duration since_start) {
    return TimePoint(std::chrono::hours(1000)) + since_start;
}

inline WallTime wall(Duration since_start) {
    return from_unix_ms(1'000'000'000 + 86'400'000) +
           std::chrono::duration_cast<std::chrono::milliseconds>(since_start);
}

}  // namespace flow29::proto
