// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/identity.hpp"
#include "proto/message.hpp"

#include <vector>

namespace flow29::proto {

/// Always the same, so that what it signs is too: seeds of the fuzz targets are made of it.
inline const core::Identity& sample_identity() {
    static const core::Identity identity = *core::Identity::from_pem(
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VwBCIEIAMKERgfJi00O0JJUFdeZWxzeoGIj5adpKuyucDHztXc\n"
        "-----END PRIVATE KEY-----\n");
    return identity;
}

template <class Id>
Id sample_id(std::uint8_t seed) {
    Id id;
    for (std::size_t i = 0; i < Id::size; ++i)
        id.bytes[i] = static_cast<std::uint8_t>(seed * 37 + i * 11 + 1);
    return id;
}

constexpr std::uint64_t sample_now_ms = 1'800'000'000'000;

inline core::Endpoint sample_v6() {
    return *core::Endpoint::parse("[2001:db8:1:2:3:4:5:6]:65535");
}

inline NodeRecord sample_record(std::size_t addresses = 2) {
    NodeRecord record;
    for (std::size_t i = 0; i < addresses; ++i)
        record.addresses.push_back(i == 0 ? *core::Endpoint::parse("192.0.2.1:2929") : sample_v6());
    record.capacity_class = 7;
    record.storing = true;
    record.started_ms = sample_now_ms - 1000;
    record.sequence = sample_now_ms;
    record.expires = from_unix_ms(sample_now_ms + 3'600'000);
    record.sign(sample_identity());
    return record;
}

inline Lease sample_lease() {
    Lease lease;
    lease.root = sample_id<RootHash>(1);
    lease.copies = 4;
    lease.expires = from_unix_ms(sample_now_ms + 1);
    lease.sequence = sample_now_ms;
    lease.sign(sample_identity());
    return lease;
}

/// One of every type of message, in their order.
inline std::vector<Message> sample_messages() {
    const auto extent = sample_id<ExtentHash>(2);
    const auto root = sample_id<RootHash>(3);
    const ItemId first = ItemId::of(extent);
    const ItemId second = ItemId::of(root);
    const NodeRecord record = sample_record();
    HolderTable table{root, {record, sample_record(0)}, {{first, {0, 1}}, {second, {}}}};
    GetRange range{extent, ByteCount(1'000'000), {ChunkIndex(3), ChunkIndex(1954)}, true};
    Hello hello{1, record, sample_v6(), sample_now_ms, "flow29/0.1.0"};
    std::vector<Message> messages;
    messages.push_back(hello);
    messages.push_back(Failure{Errc::no_space, "full"});
    messages.push_back(Ping{});
    messages.push_back(Pong{});
    messages.push_back(range);
    messages.push_back(RangeReply{{sample_id<TreeHash>(4), sample_id<TreeHash>(5)}});
    messages.push_back(GetDescriptor{root});
    messages.push_back(DescriptorReply{});
    messages.push_back(GetHolders{root, 5, 100});
    messages.push_back(table);
    messages.push_back(Have{{first, second}});
    messages.push_back(
        HaveReply{{Holding::kept, Holding::lacks, Holding::cached, Holding::coming, Holding::lacks,
                   Holding::lacks, Holding::lacks, Holding::lacks, Holding::kept}});
    messages.push_back(Invite{sample_lease(), {{first, ByteCount(512)}}, {record}, true});
    messages.push_back(InviteReply{{InviteAnswer::accepted, InviteAnswer::over_quota}});
    messages.push_back(Stored{root, {first}, {second}});
    messages.push_back(UpdateHolders{table});
    messages.push_back(GetClosest{sample_id<DhtKey>(6)});
    messages.push_back(ClosestReply{{record}});
    messages.push_back(UpdateLease{sample_lease()});
    messages.push_back(LeaseReply{true});
    messages.push_back(Goodbye{});
    messages.push_back(GetLeases{root});
    messages.push_back(Leases{{sample_lease()}});
    messages.push_back(GetKept{sample_id<KeptState>(7), 3});
    messages.push_back(KeptList{sample_id<KeptState>(8), false, 1, {1, 2, 3}, {first}, {second}});
    messages.push_back(Uninvite{root, {first}});
    messages.push_back(Hint{{first, second}});
    messages.push_back(GetHinted{{second}});
    messages.push_back(Pledge{first});
    messages.push_back(PledgeReply{true});
    messages.push_back(Room{});
    messages.push_back(DialBack{2929});
    messages.push_back(DialBackReply{true});
    messages.push_back(UpdateRecord{record});
    return messages;
}

inline std::uint64_t number_for(const Message& message) {
    return is_request(message) || is_reply(message) ? 77 : 0;
}

}  // namespace flow29::proto
