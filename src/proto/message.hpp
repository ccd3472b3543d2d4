// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "core/buffer.hpp"
#include "core/key_space.hpp"
#include "core/merkle.hpp"
#include "proto/record.hpp"

/// What two nodes say to each other over an authenticated connection.
///
///     frame:  u32 head length | u32 body length | head | body       (big-endian)
///     head:   msgpack [type, request id, [fields…]]                 at most 256 KiB
///     body:   raw octets, of RangeReply, DescriptorReply, KeptList  at most 4 MiB
///
/// A connection is symmetric: both ends may ask. The asker chooses the request id (not 0) and the
/// answer repeats it; a notification has id 0. Fields that a later version adds come last and are
/// ignored by an earlier reader.
namespace flow29::proto {

/// What can be placed, held and counted: an extent of some object, or the descriptor of one.
struct ItemId {
    enum class Kind : std::uint8_t { descriptor = 0, extent = 1 };
    Kind kind = Kind::extent;
    std::array<std::uint8_t, 32> hash{};  ///< a RootHash or an ExtentHash, as `kind` says

    auto operator<=>(const ItemId&) const = default;
    [[nodiscard]] static ItemId of(const RootHash& root) { return {Kind::descriptor, root.bytes}; }
    [[nodiscard]] static ItemId of(const ExtentHash& extent) {
        return {Kind::extent, extent.bytes};
    }
    [[nodiscard]] RootHash root() const { return {hash}; }
    [[nodiscard]] ExtentHash extent() const { return {hash}; }
    /// Near which nodes it is placed, and where its provider records are.
    [[nodiscard]] DhtKey key(const core::KeySpace& keys) const;
};

/// The first message in each direction; nothing else counts before it.
struct Hello {
    std::uint32_t version = 1;
    NodeRecord record;          ///< of the sender; its key is the one TLS proved
    core::Endpoint observed;    ///< where the sender sees the receiver
    std::uint64_t unix_ms = 0;  ///< the sender's clock
    std::string agent;          ///< "flow29/0.1.0"
    bool operator==(const Hello&) const = default;
};

struct Ping {
    bool operator==(const Ping&) const = default;
};
struct Pong {
    bool operator==(const Pong&) const = default;
};

/// Why a request was not answered: peer_lacks, peer_busy, refused, no_space, peer_misbehaved,
/// other.
struct Failure {
    Errc code = Errc::other;
    std::string text;  ///< at most limits::error_text_bytes_max
    bool operator==(const Failure&) const = default;
};

/// Some chunks of an extent. Answer: RangeReply with the bytes as its body.
struct GetRange {
    ExtentHash extent;
    ByteCount extent_length;
    ChunkRange chunks;        ///< within the extent; at most limits::range_bytes_max
    bool background = false;  ///< nobody waits for it: what somebody waits for may go first
    bool operator==(const GetRange&) const = default;
};
struct RangeReply {
    core::Proof proof;
    bool operator==(const RangeReply&) const = default;
};

/// Answer: DescriptorReply with core::Descriptor::encode() as its body.
struct GetDescriptor {
    RootHash root;
    bool operator==(const GetDescriptor&) const = default;
};
struct DescriptorReply {
    bool operator==(const DescriptorReply&) const = default;
};

/// Who holds what of one object, as one node knows it: hints to be confirmed, not proof. `nodes`
/// are the holders' own signed records, so an address cannot be made up.
struct HolderTable {
    struct Entry {
        ItemId item;
        std::vector<std::uint32_t> nodes;  ///< positions in `nodes` below
        bool operator==(const Entry&) const = default;
    };
    RootHash root;
    std::vector<NodeRecord> nodes;
    std::vector<Entry> entries;
    bool operator==(const HolderTable&) const = default;
};
/// Holders of the descriptor and of extents [first, first + count). Answer: HolderTable.
struct GetHolders {
    RootHash root;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    bool operator==(const GetHolders&) const = default;
};

/// What the receiver has of each of these. Answer: HaveReply.
struct Have {
    std::vector<ItemId> items;
    bool operator==(const Have&) const = default;
};
/// What a node says of one item. Only `kept` is a copy that others may count on.
enum class Holding : std::uint8_t {
    lacks,
    coming,  ///< being pulled, on somebody's invitation
    cached,  ///< there, whole and durable, but nobody else's lease keeps it: fetched, or published
    kept,    ///< there, and another's lease keeps it
};
struct HaveReply {
    std::vector<Holding> items;  ///< as asked
    bool operator==(const HaveReply&) const = default;
};

/// "Please hold these items of this object": the receiver pulls them from the sources (the inviter
/// among them), verifies, syncs, then says Stored. Answer: InviteReply.
struct Invite {
    struct Item {
        ItemId item;
        ByteCount length;  ///< of the extent, or of the encoded descriptor
        bool operator==(const Item&) const = default;
    };
    Lease lease;  ///< names the root
    std::vector<Item> items;
    std::vector<NodeRecord> sources;
    bool repair = false;  ///< nobody waits for it, so that the receiver may take its time
    /// Of each item, whether the receiver is to pull it from the sender. Another was invited for
    /// the rest, to be pulled from there, and from the sender only when nothing comes of that.
    /// Empty: all.
    std::vector<bool> leads = {};
    /// What the lease names is a run of extents of something whose root is not known yet: they are
    /// kept until that is invited for, and count for nothing before.
    bool part = false;
    bool operator==(const Invite&) const = default;
};
enum class InviteAnswer : std::uint8_t {
    accepted = 0,    ///< will pull, Stored follows
    held = 1,        ///< durable already
    coming = 2,      ///< an earlier invitation is under way
    full = 3,        ///< no room
    busy = 4,        ///< too many at once: ask later
    refused = 5,     ///< not storing, lease not acceptable, or blocked
    over_quota = 6,  ///< its publisher, or the asker's address group, has its share already
};
struct InviteReply {
    std::vector<InviteAnswer> answers;  ///< one per item
    bool operator==(const InviteReply&) const = default;
};
/// Notification: these items are now durable here (or could not be had).
struct Stored {
    RootHash root;
    std::vector<ItemId> items;
    std::vector<ItemId> failed;
    bool part = false;  ///< they were invited for as a part, and are no copies
    bool operator==(const Stored&) const = default;
};

/// Notification: the sender's current view of who holds what. The receiver merges entries of items
/// that it holds itself.
struct UpdateHolders {
    HolderTable table;
    bool operator==(const UpdateHolders&) const = default;
};

/// The receiver's confirmed storing neighbours nearest to a key. Answer: ClosestReply.
struct GetClosest {
    DhtKey key;
    bool operator==(const GetClosest&) const = default;
};
struct ClosestReply {
    std::vector<NodeRecord> nodes;
    bool operator==(const ClosestReply&) const = default;
};

/// A lease with `withdrawn` set, or a renewal. Answer: LeaseReply.
struct UpdateLease {
    Lease lease;
    bool operator==(const UpdateLease&) const = default;
};
struct LeaseReply {
    bool applied = false;  ///< it is in force here; false: unknown root, or a newer one is known
    bool operator==(const LeaseReply&) const = default;
};

/// Notification: the sender is going away on purpose.
struct Goodbye {
    bool operator==(const Goodbye&) const = default;
};

/// Under which leases does the receiver keep this object? Answer: Leases, withdrawn and past ones
/// left out.
struct GetLeases {
    RootHash root;
    bool operator==(const GetLeases&) const = default;
};
struct Leases {
    std::vector<Lease> leases;
    bool operator==(const Leases&) const = default;
};

/// A digest of everything that a node keeps: equal sets have equal states, whatever their history.
using KeptState = FixedBytes<struct KeptStateTag, 32>;

/// What does the receiver keep? Answer: KeptList.
struct GetKept {
    KeptState known;         ///< as of the last answer; zero: nothing is known
    std::uint32_t part = 0;  ///< of a list that comes in parts
    bool operator==(const GetKept&) const = default;
};
/// Either what changed since the state that the asker knows, or a list of everything: then the body
/// has KeptLedger::short_name of each item of this part. Nothing changed: an empty change.
struct KeptList {
    KeptState state;      ///< now
    bool listed = false;  ///< the body is a list, and there are no changes
    std::uint32_t parts = 1;
    std::array<std::uint8_t, 16> salt{};  ///< of the short names; drawn anew for every list
    std::vector<ItemId> added;            ///< with `removed` at most limits::kept_changes_max
    std::vector<ItemId> removed;
    bool operator==(const KeptList&) const = default;
};

/// Notification: what the sender invited the receiver to hold has enough copies without it. What is
/// not durable yet may be dropped.
struct Uninvite {
    RootHash root;
    std::vector<ItemId> items;
    bool operator==(const Uninvite&) const = default;
};

/// Notification: the sender keeps these items, and the receiver is near their keys, so it is whom
/// others will ask. Forgotten after limits::hint_lifetime.
struct Hint {
    std::vector<ItemId> items;
    bool operator==(const Hint&) const = default;
};
/// Who told the receiver that it keeps one of these? Answer: HolderTable, its root zero.
struct GetHinted {
    std::vector<ItemId> items;
    bool operator==(const GetHinted&) const = default;
};

/// "I am about to let my copy of this go and rely on yours: will you keep it for the next
/// limits::pledge_lifetime?" Answer: PledgeReply.
struct Pledge {
    ItemId item;
    bool operator==(const Pledge&) const = default;
};
struct PledgeReply {
    bool pledged = false;  ///< false: not kept here, or about to be let go here as well
    bool operator==(const PledgeReply&) const = default;
};

/// Notification: the sender refused an invitation of the receiver's for want of room, and has some
/// now.
struct Room {
    bool operator==(const Room&) const = default;
};

/// "Can you dial me at the address where you see me, at this port?" No other address is dialled for
/// it. Answer: DialBackReply.
struct DialBack {
    std::uint16_t port = 0;
    bool operator==(const DialBack&) const = default;
};
struct DialBackReply {
    bool reached = false;  ///< a connection came about, and this very node was at its other end
    bool operator==(const DialBackReply&) const = default;
};

/// The sender's record is another now, as when it begins or ceases to be a holder.
struct UpdateRecord {
    NodeRecord record;  ///< its key is the one TLS proved
    bool operator==(const UpdateRecord&) const = default;
};

/// The position in this list is the type number on the wire, from 0: append only.
using Message =
    std::variant<Hello, Failure, Ping, Pong, GetRange, RangeReply, GetDescriptor, DescriptorReply,
                 GetHolders, HolderTable, Have, HaveReply, Invite, InviteReply, Stored,
                 UpdateHolders, GetClosest, ClosestReply, UpdateLease, LeaseReply, Goodbye,
                 GetLeases, Leases, GetKept, KeptList, Uninvite, Hint, GetHinted, Pledge,
                 PledgeReply, Room, DialBack, DialBackReply, UpdateRecord>;

/// A message with its id and the raw octets that follow it.
struct Envelope {
    std::uint64_t request = 0;
    Message message;
    core::Buffer body;
};

/// "get_range": for logs and errors.
[[nodiscard]] std::string_view message_name(const Message& message);
/// True for messages that want an answer.
[[nodiscard]] bool is_request(const Message& message);
/// True for answers, Failure included.
[[nodiscard]] bool is_reply(const Message& message);

/// The head of a frame, without its two lengths.
[[nodiscard]] Bytes encode_head(std::uint64_t request, const Message& message);
/// Errc::peer_misbehaved for anything malformed, over a limit, or of an unknown type. Signed parts
/// (records, leases) are verified.
struct Head {
    std::uint64_t request = 0;
    Message message;
};
[[nodiscard]] Result<Head> decode_head(ByteView raw);

/// The two lengths at the start of a frame.
struct FrameLengths {
    static constexpr std::size_t size = 8;
    std::uint32_t head = 0;
    std::uint32_t body = 0;

    [[nodiscard]] std::array<std::uint8_t, size> encode() const;
    /// Errc::peer_misbehaved when over limits::frame_*_bytes_max or when head is 0.
    [[nodiscard]] static Result<FrameLengths> decode(std::span<const std::uint8_t, size> raw);
};

}  // namespace flow29::proto

template <>
struct std::hash<flow29::proto::ItemId> {
    std::size_t operator()(const flow29::proto::ItemId& item) const noexcept {
        return std::hash<flow29::TreeHash>{}(item.extent()) + static_cast<std::size_t>(item.kind);
    }
};
