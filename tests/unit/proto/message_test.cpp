// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/message.hpp"

#include <flow29/limits.hpp>

#include "core/descriptor.hpp"
#include "core/pack.hpp"
#include "samples.hpp"

#include <doctest/doctest.h>

#include <random>

namespace flow29::proto {
namespace {

bool refused(std::uint64_t request, const Message& message) {
    const auto head = decode_head(encode_head(request, message));
    return !head && head.error().code == Errc::peer_misbehaved;
}

bool accepted(const Message& message) {
    const auto head = decode_head(encode_head(number_for(message), message));
    return head && head->message == message;
}

TEST_CASE("every message comes back as it was sent") {
    const auto messages = sample_messages();
    REQUIRE(messages.size() == std::variant_size_v<Message>);
    for (std::size_t type = 0; type < messages.size(); ++type) {
        const Message& message = messages[type];
        REQUIRE(message.index() == type);
        CAPTURE(message_name(message));
        const auto head = decode_head(encode_head(number_for(message), message));
        REQUIRE(head);
        CHECK(head->request == number_for(message));
        CHECK(head->message == message);
        CHECK_FALSE((is_request(message) && is_reply(message)));
    }
}

TEST_CASE("what is for a part says so") {
    const ItemId item = ItemId::of(sample_id<ExtentHash>(1));
    Invite invite{sample_lease(), {{item, ByteCount(512)}}, {}, false, {true}, true};
    CHECK(accepted(invite));
    CHECK(accepted(Stored{sample_id<RootHash>(2), {item}, {}, true}));
    // Who leads is said with it, all if nobody was named.
    invite.leads.clear();
    const auto head = decode_head(encode_head(number_for(invite), invite));
    REQUIRE(head);
    CHECK(std::get<Invite>(head->message).part);
    CHECK(std::get<Invite>(head->message).leads == std::vector{true});
}

TEST_CASE("a request or reply needs a number, a notification must have none") {
    for (const Message& message : sample_messages())
        CHECK(refused(number_for(message) == 0 ? 1 : 0, message));
}

TEST_CASE("a truncated head is refused at every length") {
    for (const Message& message : sample_messages()) {
        const Bytes raw = encode_head(number_for(message), message);
        for (std::size_t length = 0; length < raw.size(); ++length)
            CHECK_FALSE(decode_head(ByteView(raw).first(length)));
        Bytes longer = raw;
        longer.push_back(0xc0);
        CHECK_FALSE(decode_head(longer));
    }
}

TEST_CASE("a mutated head is refused or means something valid, and never more") {
    std::mt19937_64 random(29);
    const auto messages = sample_messages();
    std::vector<Bytes> heads;
    for (const Message& message : messages)
        heads.push_back(encode_head(number_for(message), message));
    std::size_t accepted_heads = 0;
    for (int i = 0; i < 30'000; ++i) {
        CAPTURE(i);
        Bytes raw = heads[random() % heads.size()];
        for (std::uint64_t flips = 1 + random() % 3; flips > 0; --flips)
            raw[random() % raw.size()] = static_cast<std::uint8_t>(random());
        if (random() % 4 == 0) raw.resize(random() % (raw.size() + 1));
        const auto head = decode_head(raw);
        if (!head) {
            CHECK(head.error().code == Errc::peer_misbehaved);
            continue;
        }
        ++accepted_heads;
        // What was understood can be said again.
        const auto again = decode_head(encode_head(head->request, head->message));
        REQUIRE(again);
        CHECK(again->message == head->message);
    }
    CHECK(accepted_heads > 0);
}

TEST_CASE("fields that a later version added are passed over") {
    core::Packer out;
    out.array(4).uint(Message(GetDescriptor{}).index()).uint(5);
    out.array(3).id(sample_id<RootHash>(1)).str("new").uint(9);
    out.boolean(true);
    const Bytes raw = out.take();
    const auto head = decode_head(raw);
    REQUIRE(head);
    CHECK(head->message == Message(GetDescriptor{sample_id<RootHash>(1)}));
}

TEST_CASE("an unknown type is refused by its number") {
    core::Packer out;
    out.array(3).uint(99).uint(0).array(0);
    const Bytes raw = out.take();
    const auto head = decode_head(raw);
    REQUIRE_FALSE(head);
    CHECK(head.error().context == "message of unknown type 99");
}

TEST_CASE("ranges are within their extent and the bound of one request") {
    const std::uint64_t chunks_max = limits::range_bytes_max / limits::chunk_bytes;
    GetRange get{sample_id<ExtentHash>(1), ByteCount(limits::extent_bytes_max), {}};
    get.chunks.last = ChunkIndex(chunks_max);
    CHECK(accepted(get));
    get.chunks.last = ChunkIndex(chunks_max + 1);
    CHECK(refused(1, get));
    get.chunks = {ChunkIndex(5), ChunkIndex(5)};
    CHECK(refused(1, get));
    get.extent_length = ByteCount(513);
    get.chunks = {ChunkIndex(0), ChunkIndex(2)};
    CHECK(accepted(get));
    get.chunks.last = ChunkIndex(3);
    CHECK(refused(1, get));
    get.extent_length = ByteCount(limits::extent_bytes_max + 1);
    get.chunks.last = ChunkIndex(1);
    CHECK(refused(1, get));
}

TEST_CASE("lists are bounded") {
    const ItemId item = ItemId::of(sample_id<ExtentHash>(1));
    Have have{std::vector<ItemId>(limits::items_per_message_max, item)};
    CHECK(accepted(have));
    CHECK(encode_head(1, have).size() <= limits::frame_head_bytes_max);
    have.items.push_back(item);
    CHECK(refused(1, have));
    for (const std::size_t items : {0U, 1U, 7U, 8U, 9U, limits::items_per_message_max})
        CHECK(accepted(HaveReply{std::vector<Holding>(items, Holding::kept)}));
    CHECK(refused(
        1, HaveReply{std::vector<Holding>(limits::items_per_message_max + 1, Holding::kept)}));
    RangeReply reply{core::Proof(limits::proof_hashes_max, sample_id<TreeHash>(1))};
    CHECK(accepted(reply));
    reply.proof.push_back(sample_id<TreeHash>(1));
    CHECK(refused(1, reply));
    ClosestReply closest{std::vector<NodeRecord>(limits::records_per_message_max, sample_record())};
    CHECK(accepted(closest));
    closest.nodes.push_back(sample_record());
    CHECK(refused(1, closest));
}

TEST_CASE("a full invitation fits into a head") {
    Invite invite;
    invite.lease = sample_lease();
    const Invite::Item item{ItemId::of(sample_id<ExtentHash>(1)),
                            ByteCount(limits::extent_bytes_max)};
    invite.items.assign(limits::items_per_message_max, item);
    invite.sources.assign(16, sample_record(limits::addresses_per_record_max));
    CHECK(encode_head(1, invite).size() <= limits::frame_head_bytes_max);
    CHECK(accepted(invite));
}

TEST_CASE("a full holder table fits into a head") {
    HolderTable table{sample_id<RootHash>(1), {}, {}};
    table.nodes.assign(limits::records_per_message_max,
                       sample_record(limits::addresses_per_record_max));
    const HolderTable::Entry entry{
        ItemId::of(sample_id<ExtentHash>(1)),
        std::vector<std::uint32_t>(limits::copies_max, limits::records_per_message_max - 1)};
    table.entries.assign(limits::table_entries_per_message, entry);
    CHECK(encode_head(1, table).size() <= limits::frame_head_bytes_max);
    CHECK(accepted(table));
}

TEST_CASE("an invitation names lengths that can be") {
    Invite invite{sample_lease(), {{ItemId::of(sample_id<ExtentHash>(1)), ByteCount(0)}}, {}, true};
    CHECK(refused(1, invite));
    invite.items[0] = {ItemId::of(sample_id<RootHash>(1)),
                       ByteCount(limits::descriptor_bytes_max + 1)};
    CHECK(refused(1, invite));
    invite.items[0].length = ByteCount(limits::descriptor_bytes_max);
    CHECK(accepted(invite));
}

TEST_CASE("an invitation says of each item whether to lead, or of none") {
    Invite invite;
    invite.lease = sample_lease();
    const Invite::Item item{ItemId::of(sample_id<ExtentHash>(1)), ByteCount(512)};
    for (const std::size_t items : {1U, 8U, 9U}) {
        invite.items.assign(items, item);
        invite.leads.clear();
        CHECK(accepted(invite));
        invite.leads.assign(items, true);
        invite.leads.front() = false;
        CHECK(accepted(invite));
        invite.leads.resize(items + 8);
        CHECK(refused(1, invite));
    }
}

TEST_CASE("a holder table refers to its own nodes only") {
    HolderTable table{sample_id<RootHash>(1), {sample_record()}, {}};
    table.entries.push_back({ItemId::of(sample_id<ExtentHash>(1)), {0}});
    CHECK(accepted(table));
    table.entries[0].nodes = {1};
    CHECK(refused(1, table));
}

TEST_CASE("a record or lease that its signer did not sign is refused inside a message") {
    NodeRecord record = sample_record();
    record.capacity_class++;
    CHECK(refused(1, ClosestReply{{record}}));
    Lease lease = sample_lease();
    lease.withdrawn = true;
    CHECK(refused(1, UpdateLease{lease}));
    CHECK(refused(1, Leases{{sample_lease(), lease}}));
}

TEST_CASE("a failure travels as one of the agreed reasons, its text cut between characters") {
    const auto as_received = [](Failure failure) {
        return std::get<Failure>(decode_head(encode_head(1, std::move(failure)))->message);
    };
    for (const Errc code : {Errc::other, Errc::peer_lacks, Errc::peer_busy, Errc::refused,
                            Errc::no_space, Errc::peer_misbehaved})
        CHECK(as_received({code, "why"}).code == code);
    CHECK(as_received({Errc::corrupt_store, "why"}).code == Errc::other);
    const std::string text(limits::error_text_bytes_max - 1, 'x');
    CHECK(as_received({Errc::other, text + "y"}).text == text + "y");
    CHECK(as_received({Errc::other, text + "\xc3\xa9"}).text == text);
}

TEST_CASE("frame lengths are bounded and survive their encoding") {
    const auto round_trip = [](std::uint32_t head, std::uint32_t body) {
        return FrameLengths::decode(FrameLengths{head, body}.encode());
    };
    const auto most = round_trip(limits::frame_head_bytes_max, limits::frame_body_bytes_max);
    REQUIRE(most);
    CHECK(most->head == limits::frame_head_bytes_max);
    CHECK(most->body == limits::frame_body_bytes_max);
    CHECK(round_trip(1, 0).has_value());
    CHECK_FALSE(round_trip(0, 0));
    CHECK_FALSE(round_trip(limits::frame_head_bytes_max + 1, 0));
    CHECK_FALSE(round_trip(1, limits::frame_body_bytes_max + 1));
    CHECK(FrameLengths{0x01020304, 0x05060708}.encode() ==
          std::array<std::uint8_t, 8>{1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_CASE("an item's key is that of the object or extent it is") {
    const auto root = sample_id<RootHash>(1);
    const auto extent = sample_id<ExtentHash>(1);
    for (const core::KeySpace& keys : {core::KeySpace(), core::KeySpace(core::new_swarm_key())}) {
        CHECK(ItemId::of(root).key(keys) == keys.root_key(root));
        CHECK(ItemId::of(extent).key(keys) == keys.extent_key(extent));
    }
    CHECK(ItemId::of(root) != ItemId::of(extent));
}

TEST_CASE("a name for the program is cut when it is sent, and refused when it is longer") {
    Hello hello{1, sample_record(), sample_v6(), sample_now_ms, {}};
    hello.agent = std::string(limits::user_agent_bytes_max, 'a');
    CHECK(accepted(hello));
    Bytes raw = encode_head(0, hello);
    hello.agent += 'a';
    CHECK(encode_head(0, hello) == raw);
    // It comes last: its type, its length, and itself.
    auto& length = raw[raw.size() - limits::user_agent_bytes_max - 1];
    REQUIRE(length == limits::user_agent_bytes_max);
    ++length;
    raw.push_back('a');
    CHECK_FALSE(decode_head(raw));
}

TEST_CASE("leases and changes of what is kept are bounded") {
    Leases leases{std::vector<Lease>(limits::leases_per_message_max, sample_lease())};
    CHECK(accepted(leases));
    leases.leases.push_back(sample_lease());
    CHECK(refused(1, leases));
    const ItemId item = ItemId::of(sample_id<ExtentHash>(1));
    KeptList list{sample_id<KeptState>(1), false, 1, {}, {}, {}};
    list.added.assign(limits::kept_changes_max - 1, item);
    list.removed = {item};
    CHECK(accepted(list));
    list.removed.push_back(item);
    CHECK(refused(1, list));
    KeptList parts{sample_id<KeptState>(1), true, limits::kept_parts_max, {}, {}, {}};
    CHECK(accepted(parts));
    parts.parts *= 2;
    CHECK(refused(1, parts));
    CHECK(accepted(GetKept{sample_id<KeptState>(1), limits::kept_parts_max - 1}));
    CHECK(refused(1, GetKept{sample_id<KeptState>(1), limits::kept_parts_max}));
}

TEST_CASE("a message has so many fields, whatever they are") {
    const auto head_with = [](std::uint32_t fields) {
        core::Packer out;
        out.array(3).uint(Message(GetDescriptor{}).index()).uint(5);
        out.array(fields).id(sample_id<RootHash>(1));
        for (std::uint32_t i = 1; i < fields; ++i)
            out.uint(i);
        const Bytes raw = out.take();
        return decode_head(raw);
    };
    CHECK(head_with(limits::fields_per_message_max).has_value());
    CHECK_FALSE(head_with(limits::fields_per_message_max + 1).has_value());
}

}  // namespace
}  // namespace flow29::proto
