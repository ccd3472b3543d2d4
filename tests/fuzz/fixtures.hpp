// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/limits.hpp>

#include "proto/record.hpp"

#include "input.hpp"
#include "unit/proto/fake_nodes.hpp"
#include "unit/proto/samples.hpp"

/// What several targets make out of their input. Nothing here depends on the clock or on chance.
namespace flow29::fuzz {

/// Within the window of the records of samples.hpp.
inline WallTime wall_now() {
    return from_unix_ms(proto::sample_now_ms);
}

inline RootHash root(std::uint64_t number) {
    return proto::sample_id<RootHash>(static_cast<std::uint8_t>(number));
}

inline core::Endpoint random_endpoint(Input& input) {
    core::Endpoint endpoint =
        input.flag() ? proto::sample_v6() : *core::Endpoint::parse("192.0.2.1:2929");
    endpoint.address[15] = static_cast<std::uint8_t>(1 + input.number(3));
    return endpoint;
}

inline WallTime random_expiry(Input& input) {
    return wall_now() + std::chrono::milliseconds(input.number(1ULL << 28)) - std::chrono::hours(1);
}

inline proto::NodeRecord random_node_record(Input& input) {
    proto::NodeRecord record;
    for (auto left = input.number(limits::addresses_per_record_max); left > 0; --left)
        record.addresses.push_back(random_endpoint(input));
    record.capacity_class = input.octet();
    record.storing = input.flag();
    record.started_ms = input.number(1ULL << 52);
    record.sequence = input.number(1ULL << 52);
    record.expires = random_expiry(input);
    record.sign(proto::sample_identity());
    return record;
}

inline proto::ProviderRecord random_provider_record(Input& input, const DhtKey& key) {
    proto::ProviderRecord record;
    record.key = key;
    record.address = random_endpoint(input);
    record.sequence = input.number(1ULL << 52);
    record.expires = random_expiry(input);
    if (input.flag())
        record.summary = {static_cast<ObjectKind>(input.flag()),
                          ByteCount(input.number(1ULL << 24)), proto::sample_id<TreeHash>(2),
                          static_cast<unsigned>(11 + input.number(6))};
    record.sign(proto::sample_identity());
    return record;
}

inline proto::Lease random_lease(Input& input) {
    proto::Lease lease;
    lease.root = root(input.octet());
    lease.copies = static_cast<std::uint8_t>(1 + input.number(limits::copies_max - 1));
    lease.expires = random_expiry(input);
    lease.sequence = input.number(1ULL << 52);
    lease.withdrawn = input.flag();
    lease.sign(proto::sample_identity());
    return lease;
}

}  // namespace flow29::fuzz
