// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/message.hpp"
#include "proto/message_wire.hpp"

#include <flow29/limits.hpp>

#include "core/pack.hpp"

#include <algorithm>

namespace flow29::proto {
namespace {

using core::Packer;

void pack_item(Packer& out, const ItemId& item) {
    std::array<std::uint8_t, wire::item_bytes> raw{};
    raw[0] = static_cast<std::uint8_t>(item.kind);
    std::copy(item.hash.begin(), item.hash.end(), raw.begin() + 1);
    out.bin(raw);
}

void pack_items(Packer& out, const std::vector<ItemId>& items) {
    out.array(items.size());
    for (const ItemId& item : items)
        pack_item(out, item);
}

void pack_records(Packer& out, const std::vector<NodeRecord>& records) {
    out.array(records.size());
    for (const NodeRecord& record : records)
        out.bin(record.encode());
}

/// At most `bytes_max` octets of `text`, cut before a character rather than inside one.
std::string_view shortened(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return text;
    std::size_t end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
        --end;
    return text.substr(0, end);
}

// Each writes the array of one message's fields.

void pack(Packer& out, const Hello& hello) {
    out.array(6).uint(hello.version).bin(hello.record.encode());
    out.bin(hello.observed.octets()).uint(hello.observed.port).uint(hello.unix_ms);
    out.str(shortened(hello.agent, limits::user_agent_bytes_max));
}

void pack(Packer& out, const Failure& failure) {
    const auto* const known =
        std::find(wire::failure_codes.begin(), wire::failure_codes.end(), failure.code);
    const auto number =
        known == wire::failure_codes.end() ? 0 : known - wire::failure_codes.begin();
    out.array(2).uint(static_cast<std::uint64_t>(number));
    out.str(shortened(failure.text, limits::error_text_bytes_max));
}

void pack(Packer& out, const Ping&) {
    out.array(0);
}
void pack(Packer& out, const Pong&) {
    out.array(0);
}
void pack(Packer& out, const DescriptorReply&) {
    out.array(0);
}
void pack(Packer& out, const Room&) {
    out.array(0);
}

void pack(Packer& out, const Goodbye&) {
    out.array(0);
}

void pack(Packer& out, const GetRange& get) {
    out.array(5).id(get.extent).uint(get.extent_length.value);
    out.uint(get.chunks.first.value).uint(get.chunks.last.value).boolean(get.background);
}

void pack(Packer& out, const RangeReply& reply) {
    Bytes hashes;
    hashes.reserve(reply.proof.size() * TreeHash::size);
    for (const TreeHash& hash : reply.proof)
        hashes.insert(hashes.end(), hash.bytes.begin(), hash.bytes.end());
    out.array(1).bin(hashes);
}

void pack(Packer& out, const GetDescriptor& get) {
    out.array(1).id(get.root);
}

void pack(Packer& out, const GetHolders& get) {
    out.array(3).id(get.root).uint(get.first).uint(get.count);
}

void pack(Packer& out, const HolderTable& table) {
    out.array(3).id(table.root);
    pack_records(out, table.nodes);
    out.array(table.entries.size());
    for (const HolderTable::Entry& entry : table.entries) {
        out.array(2);
        pack_item(out, entry.item);
        out.array(entry.nodes.size());
        for (const std::uint32_t node : entry.nodes)
            out.uint(node);
    }
}

void pack(Packer& out, const Have& have) {
    out.array(1);
    pack_items(out, have.items);
}

/// A bit for each item of which that is said.
template <class Items, class Predicate>
Bytes bits_of(const Items& items, Predicate said) {
    Bytes bits((items.size() + 7) / 8);
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (said(items[i])) bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | 1U << i % 8);
    }
    return bits;
}

void pack(Packer& out, const HaveReply& reply) {
    out.array(4).uint(reply.items.size());
    out.bin(bits_of(reply.items, [](Holding h) { return h >= Holding::cached; }));
    out.bin(bits_of(reply.items, [](Holding h) { return h == Holding::kept; }));
    out.bin(bits_of(reply.items, [](Holding h) { return h == Holding::coming; }));
}

void pack(Packer& out, const Invite& invite) {
    // A field that is left out is followed by none.
    const auto leads =
        invite.part && invite.leads.empty() ? std::vector(invite.items.size(), true) : invite.leads;
    out.array(invite.part ? 6 : leads.empty() ? 4 : 5);
    out.bin(invite.lease.encode()).array(invite.items.size());
    for (const Invite::Item& item : invite.items) {
        out.array(2);
        pack_item(out, item.item);
        out.uint(item.length.value);
    }
    pack_records(out, invite.sources);
    out.boolean(invite.repair);
    if (!leads.empty()) out.bin(bits_of(leads, [](bool leading) { return leading; }));
    if (invite.part) out.boolean(true);
}

void pack(Packer& out, const InviteReply& reply) {
    Bytes answers;
    answers.reserve(reply.answers.size());
    for (const InviteAnswer answer : reply.answers)
        answers.push_back(static_cast<std::uint8_t>(answer));
    out.array(1).bin(answers);
}

void pack(Packer& out, const Stored& stored) {
    out.array(stored.part ? 4 : 3).id(stored.root);
    pack_items(out, stored.items);
    pack_items(out, stored.failed);
    if (stored.part) out.boolean(true);
}

void pack(Packer& out, const UpdateHolders& update) {
    out.array(1);
    pack(out, update.table);
}

void pack(Packer& out, const GetClosest& get) {
    out.array(1).id(get.key);
}

void pack(Packer& out, const ClosestReply& reply) {
    out.array(1);
    pack_records(out, reply.nodes);
}

void pack(Packer& out, const UpdateLease& update) {
    out.array(1).bin(update.lease.encode());
}

void pack(Packer& out, const GetLeases& get) {
    out.array(1).id(get.root);
}

void pack(Packer& out, const Leases& leases) {
    out.array(1).array(leases.leases.size());
    for (const Lease& lease : leases.leases)
        out.bin(lease.encode());
}

void pack(Packer& out, const GetKept& get) {
    out.array(2).id(get.known).uint(get.part);
}

void pack(Packer& out, const KeptList& list) {
    out.array(6).id(list.state).boolean(list.listed).uint(list.parts).bin(list.salt);
    pack_items(out, list.added);
    pack_items(out, list.removed);
}

void pack(Packer& out, const Uninvite& uninvite) {
    out.array(2).id(uninvite.root);
    pack_items(out, uninvite.items);
}

void pack(Packer& out, const Hint& hint) {
    out.array(1);
    pack_items(out, hint.items);
}

void pack(Packer& out, const GetHinted& get) {
    out.array(1);
    pack_items(out, get.items);
}

void pack(Packer& out, const Pledge& pledge) {
    out.array(1);
    pack_item(out, pledge.item);
}

void pack(Packer& out, const PledgeReply& reply) {
    out.array(1).boolean(reply.pledged);
}

void pack(Packer& out, const DialBack& ask) {
    out.array(1).uint(ask.port);
}

void pack(Packer& out, const DialBackReply& reply) {
    out.array(1).boolean(reply.reached);
}

void pack(Packer& out, const UpdateRecord& update) {
    out.array(1).bin(update.record.encode());
}

void pack(Packer& out, const LeaseReply& reply) {
    out.array(1).boolean(reply.applied);
}

}  // namespace

Bytes encode_head(std::uint64_t request, const Message& message) {
    Packer out;
    out.array(3).uint(message.index()).uint(request);
    std::visit([&out](const auto& alternative) { pack(out, alternative); }, message);
    return out.take();
}

}  // namespace flow29::proto
