// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/message.hpp"
#include "proto/message_wire.hpp"

#include <flow29/limits.hpp>

#include "core/layout.hpp"
#include "core/pack.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <bit>
#include <utility>

namespace flow29::proto {
namespace {

using core::FieldReader;

constexpr std::uint64_t u32_max = 0xffff'ffff;
constexpr std::uint64_t unix_ms_max = 1ULL << 52;
constexpr std::size_t address_bytes_max = 16;

ItemId read_item(FieldReader& in) {
    const ByteView raw = in.bin(wire::item_bytes);
    if (raw.size() != wire::item_bytes || raw[0] > 1) {
        in.fail();
        return {};
    }
    ItemId item;
    item.kind = static_cast<ItemId::Kind>(raw[0]);
    std::copy(raw.begin() + 1, raw.end(), item.hash.begin());
    return item;
}

std::vector<ItemId> read_items(FieldReader& in) {
    FieldReader list = in.array(limits::items_per_message_max);
    std::vector<ItemId> items;
    while (list.ok() && list.remaining() > 0)
        items.push_back(read_item(list));
    in.require(list);
    return items;
}

template <class Signed>
Signed read_signed(FieldReader& in) {
    const ByteView raw = in.bin(limits::record_bytes_max);
    if (!in.ok()) return {};
    auto decoded = Signed::decode(raw);
    if (!decoded) {
        in.fail();
        return {};
    }
    return *std::move(decoded);
}

std::vector<NodeRecord> read_records(FieldReader& in) {
    FieldReader list = in.array(limits::records_per_message_max);
    std::vector<NodeRecord> records;
    while (list.ok() && list.remaining() > 0)
        records.push_back(read_signed<NodeRecord>(list));
    in.require(list);
    return records;
}

// Each reads one message's fields, and marks the reader as failed when a rule is broken.

void read(FieldReader& in, Hello& hello) {
    hello.version = static_cast<std::uint32_t>(in.uint(u32_max));
    hello.record = read_signed<NodeRecord>(in);
    const ByteView octets = in.bin(address_bytes_max);
    const auto port = static_cast<std::uint16_t>(in.uint(0xffff));
    if (const auto observed = core::Endpoint::from_octets(octets, port))
        hello.observed = *observed;
    else
        in.fail();
    hello.unix_ms = in.uint(unix_ms_max);
    hello.agent = in.str(limits::user_agent_bytes_max);
}

void read(FieldReader& in, Failure& failure) {
    const std::uint64_t number = in.uint(u32_max);
    // A reason that a later version added is still a refusal.
    failure.code = number < wire::failure_codes.size()
                       ? wire::failure_codes[static_cast<std::size_t>(number)]
                       : Errc::other;
    failure.text = in.str(limits::error_text_bytes_max);
}

void read(FieldReader&, Ping&) {}
void read(FieldReader&, Pong&) {}
void read(FieldReader&, DescriptorReply&) {}
void read(FieldReader&, Goodbye&) {}
void read(FieldReader&, Room&) {}

void read(FieldReader& in, GetRange& get) {
    get.extent = in.id<ExtentHash>();
    get.extent_length = ByteCount(in.uint(limits::extent_bytes_max));
    const std::uint64_t chunks = core::chunks_in(get.extent_length).value;
    get.chunks.first = ChunkIndex(in.uint(chunks));
    get.chunks.last = ChunkIndex(in.uint(chunks));
    get.background = in.boolean();
    if (get.chunks.empty() ||
        get.chunks.count().value > limits::range_bytes_max / limits::chunk_bytes)
        in.fail();
}

void read(FieldReader& in, RangeReply& reply) {
    const ByteView raw = in.bin(limits::proof_hashes_max * TreeHash::size);
    if (raw.size() % TreeHash::size != 0) in.fail();
    reply.proof.reserve(raw.size() / TreeHash::size);
    for (std::size_t at = 0; in.ok() && at < raw.size(); at += TreeHash::size)
        reply.proof.push_back(*TreeHash::from(raw.subspan(at, TreeHash::size)));
}

void read(FieldReader& in, GetDescriptor& get) {
    get.root = in.id<RootHash>();
}

void read(FieldReader& in, GetHolders& get) {
    get.root = in.id<RootHash>();
    get.first = static_cast<std::uint32_t>(in.uint(limits::extents_per_object_max));
    get.count = static_cast<std::uint32_t>(in.uint(limits::items_per_message_max));
}

HolderTable::Entry read_entry(FieldReader& list, std::size_t nodes) {
    FieldReader in = list.array(limits::fields_per_message_max);
    HolderTable::Entry entry;
    entry.item = read_item(in);
    FieldReader positions = in.array(limits::records_per_message_max);
    while (positions.ok() && positions.remaining() > 0) {
        const std::uint64_t position = positions.uint(u32_max);
        if (position >= nodes) positions.fail();
        entry.nodes.push_back(static_cast<std::uint32_t>(position));
    }
    in.require(positions);
    list.require(in);
    return entry;
}

void read(FieldReader& in, HolderTable& table) {
    table.root = in.id<RootHash>();
    table.nodes = read_records(in);
    FieldReader list = in.array(limits::items_per_message_max);
    while (list.ok() && list.remaining() > 0)
        table.entries.push_back(read_entry(list, table.nodes.size()));
    in.require(list);
}

void read(FieldReader& in, Have& have) {
    have.items = read_items(in);
}

/// `count` bits. Those of the last octet that are not used must be 0: one meaning, one encoding.
std::vector<bool> read_bits(FieldReader& in, std::size_t count) {
    const ByteView octets = in.bin(limits::items_per_message_max / 8);
    if (octets.size() != (count + 7) / 8) in.fail();
    if (!in.ok()) return {};
    if (count % 8 != 0 && octets.back() >> count % 8 != 0) in.fail();
    std::vector<bool> bits(count);
    for (std::size_t i = 0; i < count; ++i)
        bits[i] = (octets[i / 8] >> i % 8 & 1) != 0;
    return bits;
}

void read(FieldReader& in, HaveReply& reply) {
    const auto count = static_cast<std::size_t>(in.uint(limits::items_per_message_max));
    const auto held = read_bits(in, count);
    const auto kept = read_bits(in, count);
    const auto coming = read_bits(in, count);
    if (!in.ok()) return;
    reply.items.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        if ((kept[i] && !held[i]) || (coming[i] && held[i])) in.fail();
        reply.items[i] = kept[i]     ? Holding::kept
                         : held[i]   ? Holding::cached
                         : coming[i] ? Holding::coming
                                     : Holding::lacks;
    }
}

Invite::Item read_invited(FieldReader& list) {
    FieldReader in = list.array(limits::fields_per_message_max);
    Invite::Item item;
    item.item = read_item(in);
    const bool extent = item.item.kind == ItemId::Kind::extent;
    item.length =
        ByteCount(in.uint(extent ? limits::extent_bytes_max : limits::descriptor_bytes_max));
    if (item.length.value == 0) in.fail();
    list.require(in);
    return item;
}

void read(FieldReader& in, Invite& invite) {
    invite.lease = read_signed<Lease>(in);
    FieldReader list = in.array(limits::items_per_message_max);
    while (list.ok() && list.remaining() > 0)
        invite.items.push_back(read_invited(list));
    in.require(list);
    invite.sources = read_records(in);
    invite.repair = in.boolean();
    if (in.ok() && in.remaining() > 0) invite.leads = read_bits(in, invite.items.size());
    if (in.ok() && in.remaining() > 0) invite.part = in.boolean();
}

void read(FieldReader& in, InviteReply& reply) {
    const ByteView raw = in.bin(limits::items_per_message_max);
    reply.answers.reserve(raw.size());
    for (const std::uint8_t answer : raw) {
        if (answer > static_cast<std::uint8_t>(InviteAnswer::over_quota)) in.fail();
        reply.answers.push_back(static_cast<InviteAnswer>(answer));
    }
}

void read(FieldReader& in, Stored& stored) {
    stored.root = in.id<RootHash>();
    stored.items = read_items(in);
    stored.failed = read_items(in);
    if (in.ok() && in.remaining() > 0) stored.part = in.boolean();
}

void read(FieldReader& in, UpdateHolders& update) {
    FieldReader table = in.array(limits::fields_per_message_max);
    read(table, update.table);
    in.require(table);
}

void read(FieldReader& in, GetClosest& get) {
    get.key = in.id<DhtKey>();
}

void read(FieldReader& in, ClosestReply& reply) {
    reply.nodes = read_records(in);
}

void read(FieldReader& in, UpdateLease& update) {
    update.lease = read_signed<Lease>(in);
}

void read(FieldReader& in, GetLeases& get) {
    get.root = in.id<RootHash>();
}

void read(FieldReader& in, Leases& leases) {
    FieldReader list = in.array(limits::leases_per_message_max);
    while (list.ok() && list.remaining() > 0)
        leases.leases.push_back(read_signed<Lease>(list));
    in.require(list);
}

void read(FieldReader& in, GetKept& get) {
    get.known = in.id<KeptState>();
    get.part = static_cast<std::uint32_t>(in.uint(limits::kept_parts_max - 1));
}

void read(FieldReader& in, KeptList& list) {
    list.state = in.id<KeptState>();
    list.listed = in.boolean();
    list.parts = static_cast<std::uint32_t>(in.uint(limits::kept_parts_max));
    const ByteView salt = in.bin(list.salt.size());
    list.added = read_items(in);
    list.removed = read_items(in);
    if (!in.ok() || salt.size() != list.salt.size() || !std::has_single_bit(list.parts) ||
        list.added.size() + list.removed.size() > limits::kept_changes_max ||
        (list.listed && !(list.added.empty() && list.removed.empty()))) {
        in.fail();
        return;
    }
    std::copy(salt.begin(), salt.end(), list.salt.begin());
}

void read(FieldReader& in, Uninvite& uninvite) {
    uninvite.root = in.id<RootHash>();
    uninvite.items = read_items(in);
}

void read(FieldReader& in, Hint& hint) {
    hint.items = read_items(in);
}

void read(FieldReader& in, GetHinted& get) {
    get.items = read_items(in);
}

void read(FieldReader& in, Pledge& pledge) {
    pledge.item = read_item(in);
}

void read(FieldReader& in, PledgeReply& reply) {
    reply.pledged = in.boolean();
}

void read(FieldReader& in, DialBack& ask) {
    ask.port = static_cast<std::uint16_t>(in.uint(0xffff));
    if (ask.port == 0) in.fail();
}

void read(FieldReader& in, DialBackReply& reply) {
    reply.reached = in.boolean();
}

void read(FieldReader& in, UpdateRecord& update) {
    update.record = read_signed<NodeRecord>(in);
}

void read(FieldReader& in, LeaseReply& reply) {
    reply.applied = in.boolean();
}

template <std::size_t Type>
Message read_type(FieldReader& in) {
    std::variant_alternative_t<Type, Message> message;
    read(in, message);
    return message;
}

Message read_message(FieldReader& in, std::size_t type) {
    using Read = Message (*)(FieldReader&);
    static constexpr auto by_type = []<std::size_t... Types>(std::index_sequence<Types...>) {
        return std::array<Read, sizeof...(Types)>{&read_type<Types>...};
    }
    (std::make_index_sequence<std::variant_size_v<Message>>{});
    return by_type[type](in);
}

}  // namespace

Result<Head> decode_head(ByteView raw) {
    if (raw.size() > limits::frame_head_bytes_max)
        return fail(Errc::peer_misbehaved, "frame head too long");
    const auto document = core::Document::parse(raw);
    if (!document) return fail(document.error());
    FieldReader in = document->fields();
    const auto type = static_cast<std::size_t>(in.uint(u32_max));
    const std::uint64_t request = in.uint();
    FieldReader fields = in.array(limits::fields_per_message_max);
    if (!in.ok() || !fields.ok()) return fail(Errc::peer_misbehaved, "malformed frame head");
    if (type >= std::variant_size_v<Message>)
        return fail(Errc::peer_misbehaved, fmt::format("message of unknown type {}", type));
    Head head{request, read_message(fields, type)};
    if (!fields.ok())
        return fail(Errc::peer_misbehaved, fmt::format("malformed {}", message_name(head.message)));
    const bool numbered = is_request(head.message) || is_reply(head.message);
    if (numbered != (request != 0))
        return fail(Errc::peer_misbehaved,
                    fmt::format("{} with request id {}", message_name(head.message), request));
    return head;
}

}  // namespace flow29::proto
