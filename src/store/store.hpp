// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <flow29/error.hpp>
#include "core/buffer.hpp"
#include "core/descriptor.hpp"
#include "core/endpoint.hpp"
#include "core/merkle.hpp"
#include "core/range_set.hpp"
#include "core/swarm_key.hpp"
#include "core/time.hpp"
#include "proto/message.hpp"
#include "proto/record.hpp"

namespace flow29::store {

/// Chunks of one extent, as read and checked, with what proves them against the extent's hash.
struct ExtentSlice {
    core::Buffer data;
    core::Proof proof;
};

/// A whole extent on its way into the store, verified by the caller: the store trusts and records
/// it. What came in pieces need not be put together: all but the last piece are of whole checksum
/// blocks.
struct NewExtent {
    ExtentHash hash;
    core::Buffer data;                          ///< all of it, or the first piece
    std::vector<TreeHash> group_hashes;         ///< of core::GroupTree at limits::hash_group_level
    std::vector<core::Buffer> rest = {};        ///< the other pieces, in order
    std::vector<std::uint32_t> checksums = {};  ///< of its blocks; empty: the store computes them

    [[nodiscard]] ByteCount length() const {
        std::uint64_t bytes = data.size();
        for (const core::Buffer& piece : rest)
            bytes += piece.size();
        return ByteCount(bytes);
    }
    /// Puts the pieces together into `data`.
    void join() {
        if (rest.empty()) return;
        core::Buffer whole(length().value);
        std::size_t at = data.size();
        std::memcpy(whole.data(), data.data(), at);
        for (const core::Buffer& piece : rest) {
            std::memcpy(whole.data() + at, piece.data(), piece.size());
            at += piece.size();
        }
        data = std::move(whole);
        rest.clear();
    }
};

/// An extent that lies in a file outside the store and is served from there.
struct ExtentReference {
    ExtentHash hash;
    std::filesystem::path file;  ///< absolute
    ByteCount offset;
    ByteCount length;
    std::vector<TreeHash> group_hashes;
    std::vector<std::uint32_t> checksums;  ///< CRC-32C per limits::checksum_block_bytes
};

/// One object of the catalogue.
struct ObjectInfo {
    RootHash root;
    core::Descriptor descriptor;
    std::string name;        ///< as its publisher or fetcher called it here; may be empty
    bool published = false;  ///< by this node
    bool pinned = false;
    std::chrono::milliseconds renewal{};  ///< this node's lease is renewed for so long; 0: is not
    WallTime added;
    std::uint64_t extents_held = 0;  ///< whole and durable here
};

/// What is used and what may be, in bytes. `used` counts data, trees and the catalogue's rows.
struct Usage {
    ByteCount used;
    ByteCount reserved;
    ByteCount capacity;
    std::uint64_t objects = 0;
    std::uint64_t extents = 0;
    /// What content may still take of the disk, `reserved` taken off already; nothing: it is not
    /// known, or there is no disk.
    std::optional<ByteCount> disk_left = {};
};

/// An extent that is here.
struct HeldExtent {
    ExtentHash hash;
    ByteCount length;
};

/// Who holds an item as far as this node knows; hints to be confirmed.
struct KnownHolder {
    proto::ItemId item;
    NodeId node;
};

/// Room promised to something on its way. Gives back what is left when destroyed, which may be
/// after its store.
class Reservation {
  public:
    virtual ~Reservation() = default;
};

/// Where this node's extents, descriptors, leases and memories live, durably: whatever a call has
/// acknowledged survives kill -9 and a power cut. Functions block on the disk, so they belong on a
/// worker; all are safe to call from several threads.
///
/// Errors everywhere: no_space (capacity or disk), file_error, corrupt_store (data do not match
/// their checksum: the damaged extent is dropped from the catalogue first), not_found.
class Store {
  public:
    virtual ~Store() = default;

    // Extents.

    /// no_space unless `bytes` more, with their trees, fit under the capacity together with what
    /// is already reserved.
    [[nodiscard]] virtual Result<std::unique_ptr<Reservation>> reserve(ByteCount bytes) = 0;
    /// The same for what an invitation names, everything counted that keeping it takes.
    [[nodiscard]] virtual Result<std::unique_ptr<Reservation>> reserve_for(
        const std::vector<proto::Invite::Item>& items) = 0;
    /// Makes all of them durable with as few syncs as possible. Already held ones are skipped, and
    /// those held by reference become the store's own.
    /// Takes its room from `room`, one of this store's or null, and what is missing from what is
    /// free: no_space otherwise, and then none of them is there. Nothing keeps an extent that no
    /// object contains, so the object goes in first.
    [[nodiscard]] virtual Result<void> put_extents(std::vector<NewExtent> extents,
                                                   Reservation* room = nullptr) = 0;
    [[nodiscard]] virtual Result<void> put_references(std::vector<ExtentReference> extents) = 0;
    [[nodiscard]] virtual bool has_extent(const ExtentHash& extent) = 0;
    /// Whether it is here and in the store itself, not in a file outside it.
    [[nodiscard]] virtual bool owns_extent(const ExtentHash& extent) = 0;
    /// The file outside the store that it lies in; nothing when it is the store's own, or not here.
    [[nodiscard]] virtual std::optional<std::filesystem::path> file_of(
        const ExtentHash& extent) = 0;
    /// Reads and checks chunks of an extent. Requires a non-empty range.
    /// not_found, corrupt_store; refused when the range lies outside the extent.
    [[nodiscard]] virtual Result<ExtentSlice> read(const ExtentHash& extent, ChunkRange chunks) = 0;
    /// Length of a held extent.
    [[nodiscard]] virtual Result<ByteCount> extent_length(const ExtentHash& extent) = 0;
    /// Re-reads the whole extent against its hash, from the disk and not from memory as far as that
    /// is possible; a damaged one is dropped and reported.
    [[nodiscard]] virtual Result<void> scrub(const ExtentHash& extent) = 0;
    /// Those that follow `after` in the order of their hashes, from the first one if there is none.
    [[nodiscard]] virtual Result<std::vector<HeldExtent>> extents_after(
        const std::optional<ExtentHash>& after, std::size_t count_max) = 0;

    // Objects.

    /// Keeps the descriptor; `name` replaces an empty one only. Idempotent, and mends a damaged
    /// copy. verification_failed when it is not the descriptor of `root`.
    [[nodiscard]] virtual Result<void> put_object(const RootHash& root,
                                                  const core::Descriptor& descriptor,
                                                  std::string_view name) = 0;
    [[nodiscard]] virtual Result<core::Descriptor> descriptor(const RootHash& root) = 0;
    [[nodiscard]] virtual Result<ObjectInfo> object(const RootHash& root) = 0;
    /// Those whose descriptors are sound.
    [[nodiscard]] virtual std::vector<ObjectInfo> objects() = 0;
    /// All of them, those with a damaged descriptor too.
    [[nodiscard]] virtual Result<std::vector<RootHash>> roots() = 0;
    /// Objects that contain this extent.
    [[nodiscard]] virtual std::vector<RootHash> roots_of(const ExtentHash& extent) = 0;
    /// What was fetched: objects that are neither published nor pinned here, and of which no lease
    /// is known, be it past or withdrawn. O(objects).
    [[nodiscard]] virtual std::vector<RootHash> fetched() = 0;
    [[nodiscard]] virtual Result<void> set_published(const RootHash& root, bool published) = 0;
    [[nodiscard]] virtual Result<void> set_pinned(const RootHash& root, bool pinned) = 0;
    [[nodiscard]] virtual Result<void> set_renewal(const RootHash& root,
                                                   std::chrono::milliseconds renewal) = 0;

    // Leases. An extent is collectable when no object that contains it is published here, pinned,
    // or under a lease that is neither withdrawn nor past.

    /// Keeps a lease; false when an equal or newer sequence of that root and publisher is known.
    /// Withdrawals are kept until the lease would have expired. refused when too many publishers
    /// lease that root.
    [[nodiscard]] virtual Result<bool> put_lease(const proto::Lease& lease) = 0;
    /// All that are known, withdrawn and past ones too.
    [[nodiscard]] virtual std::vector<proto::Lease> leases(const RootHash& root) = 0;
    /// Withdrawals that are remembered, at most `count_max`.
    [[nodiscard]] virtual std::vector<proto::Lease> withdrawals(std::size_t count_max) = 0;
    /// Notes in which address group somebody asked that this be kept, unless it is noted already.
    /// It is forgotten when the lease is taken anew after it was over. not_found without a lease.
    [[nodiscard]] virtual Result<void> set_asker(const RootHash& root, const PublicKey& publisher,
                                                 const core::AddressGroup& asker) = 0;
    /// What is held because of leases of this publisher, or of this asker, that are live at `now`:
    /// extents with their trees, descriptors and rows, each counted once for each of both. Usually
    /// O(1); O(extents of that publisher) after one of its leases ended or was withdrawn.
    [[nodiscard]] virtual ByteCount used_by(const PublicKey& publisher, WallTime now) = 0;
    [[nodiscard]] virtual ByteCount used_by(const core::AddressGroup& asker, WallTime now) = 0;
    /// Nothing keeps the object any more, whatever its leases say: they are dropped, withdrawals
    /// excepted, and so are its marks.
    [[nodiscard]] virtual Result<void> release(const RootHash& root) = 0;
    /// Removes everything collectable and returns the bytes freed. Objects go too once nothing
    /// keeps them and none of their extents is left. Extents that no object contains stay for a day
    /// after the catalogue was made anew: whoever misses them here may have this node keep them
    /// again. So do those that are `awaited`, by whatever object.
    [[nodiscard]] virtual Result<ByteCount> collect(
        WallTime now, const std::unordered_set<ExtentHash>& awaited = {}) = 0;
    /// Removes this extent although a lease keeps it, and returns the bytes freed. What is not
    /// here, is on its way, or is part of what is published or pinned here, is left as it is: 0
    /// bytes.
    [[nodiscard]] virtual Result<ByteCount> drop_extent(const ExtentHash& extent) = 0;

    // Who holds what: the holder table of items this node keeps or published.

    [[nodiscard]] virtual Result<void> add_holders(std::vector<KnownHolder> holders) = 0;
    /// Those that are not known are left out.
    [[nodiscard]] virtual Result<void> remove_holders(const std::vector<KnownHolder>& holders) = 0;
    [[nodiscard]] virtual std::vector<KnownHolder> holders(
        const std::vector<proto::ItemId>& items) = 0;

    // Nodes met: their newest records, to dial again after a restart.

    /// The node counts as seen now, unless a newer record of it is known, which stays.
    [[nodiscard]] virtual Result<void> put_node_record(const proto::NodeRecord& record) = 0;
    [[nodiscard]] virtual std::optional<proto::NodeRecord> node_record(const NodeId& node) = 0;
    /// The most recently seen ones, newest first.
    [[nodiscard]] virtual std::vector<proto::NodeRecord> node_records(std::size_t count_max) = 0;

    // Fetches under way: which bytes of a partial output are verified and synced.

    [[nodiscard]] virtual core::RangeSet fetch_progress(const RootHash& root,
                                                        const std::filesystem::path& partial) = 0;
    [[nodiscard]] virtual Result<void> set_fetch_progress(const RootHash& root,
                                                          const std::filesystem::path& partial,
                                                          const core::RangeSet& verified) = 0;
    [[nodiscard]] virtual Result<void> end_fetch(const RootHash& root,
                                                 const std::filesystem::path& partial) = 0;

    /// Small durable settings of the node itself, such as saved neighbours.
    [[nodiscard]] virtual std::optional<Bytes> setting(std::string_view key) = 0;
    [[nodiscard]] virtual Result<void> set_setting(std::string_view key, ByteView value) = 0;

    /// Looks for damage in what is not content. corrupt_store: the store made anew from what can be
    /// read, when it is opened next.
    [[nodiscard]] virtual Result<void> check_catalogue() = 0;

    [[nodiscard]] virtual Usage usage() = 0;
};

/// How to open a data directory.
struct DiskStoreOptions {
    std::filesystem::path directory;
    ByteCount capacity;
    /// The swarm that its node is in: nodes that were met in another one are not given.
    core::SwarmName swarm{};
};

/// The store in a directory: SQLite catalogue, extents up to 64 KiB inside it, larger ones as
/// files. A damaged catalogue is made anew from what can be read of it and from the files. Errors:
/// locked (another process has it; says its pid when known), file_error (cannot be created or
/// written), corrupt_store (the catalogue is missing, some other program's, or of a later version
/// than this program).
[[nodiscard]] Result<std::unique_ptr<Store>> open_disk_store(const DiskStoreOptions& options);

/// Extents that several memory stores hold at once, kept in memory once.
class ExtentPool;
[[nodiscard]] std::shared_ptr<ExtentPool> make_extent_pool();

struct MemoryStoreOptions {
    std::shared_ptr<ExtentPool> pool = {};  ///< null: one of its own
    std::function<WallTime()> clock = {};   ///< for ObjectInfo::added; empty: the system's
};

/// A store in memory with the same rules, for the simulator and for tests.
[[nodiscard]] std::unique_ptr<Store> make_memory_store(ByteCount capacity,
                                                       MemoryStoreOptions options = {});

}  // namespace flow29::store
