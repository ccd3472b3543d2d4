// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

#include "store/ledger.hpp"
#include "store/store.hpp"
#include "store/stored_extent.hpp"

namespace flow29::store {

/// Extents by hash, alive as long as some store holds them. Safe from any thread.
class ExtentPool {
  public:
    /// The one that is there already, else `extent`.
    [[nodiscard]] std::shared_ptr<const StoredExtent> share(StoredExtent extent);

  private:
    std::mutex mutex_;
    std::unordered_map<ExtentHash, std::weak_ptr<const StoredExtent>> extents_;
    std::size_t swept_size_ = 64;  // of extents_ after the last sweep
};

/// The rules of the disk store without a disk. What lies in the pool costs memory once, whatever
/// the number of stores.
class MemoryStore final : public Store {
  public:
    MemoryStore(ByteCount capacity, MemoryStoreOptions options);

    Result<std::unique_ptr<Reservation>> reserve(ByteCount bytes) override;
    Result<std::unique_ptr<Reservation>> reserve_for(
        const std::vector<proto::Invite::Item>& items) override;
    Result<void> put_extents(std::vector<NewExtent> extents, Reservation* room) override;
    Result<void> put_references(std::vector<ExtentReference> extents) override;
    bool has_extent(const ExtentHash& extent) override;
    [[nodiscard]] bool owns_extent(const ExtentHash& extent) override;
    [[nodiscard]] std::vector<proto::Lease> withdrawals(std::size_t count_max) override;
    Result<ExtentSlice> read(const ExtentHash& extent, ChunkRange chunks) override;
    Result<ByteCount> extent_length(const ExtentHash& extent) override;
    Result<void> scrub(const ExtentHash& extent) override;
    std::optional<std::filesystem::path> file_of(const ExtentHash& extent) override;
    Result<std::vector<HeldExtent>> extents_after(const std::optional<ExtentHash>& after,
                                                  std::size_t count_max) override;

    Result<void> put_object(const RootHash& root, const core::Descriptor& descriptor,
                            std::string_view name) override;
    Result<core::Descriptor> descriptor(const RootHash& root) override;
    Result<ObjectInfo> object(const RootHash& root) override;
    std::vector<ObjectInfo> objects() override;
    Result<std::vector<RootHash>> roots() override;
    std::vector<RootHash> roots_of(const ExtentHash& extent) override;
    std::vector<RootHash> fetched() override;
    Result<void> set_published(const RootHash& root, bool published) override;
    Result<void> set_pinned(const RootHash& root, bool pinned) override;
    Result<void> set_renewal(const RootHash& root, std::chrono::milliseconds renewal) override;

    Result<bool> put_lease(const proto::Lease& lease) override;
    std::vector<proto::Lease> leases(const RootHash& root) override;
    Result<void> set_asker(const RootHash& root, const PublicKey& publisher,
                           const core::AddressGroup& asker) override;
    ByteCount used_by(const PublicKey& publisher, WallTime now) override;
    ByteCount used_by(const core::AddressGroup& asker, WallTime now) override;
    Result<void> release(const RootHash& root) override;
    Result<ByteCount> collect(WallTime now, const std::unordered_set<ExtentHash>& awaited) override;
    Result<ByteCount> drop_extent(const ExtentHash& extent) override;

    Result<void> add_holders(std::vector<KnownHolder> holders) override;
    Result<void> remove_holders(const std::vector<KnownHolder>& holders) override;
    std::vector<KnownHolder> holders(const std::vector<proto::ItemId>& items) override;

    Result<void> put_node_record(const proto::NodeRecord& record) override;
    std::optional<proto::NodeRecord> node_record(const NodeId& node) override;
    std::vector<proto::NodeRecord> node_records(std::size_t count_max) override;

    core::RangeSet fetch_progress(const RootHash& root,
                                  const std::filesystem::path& partial) override;
    Result<void> set_fetch_progress(const RootHash& root, const std::filesystem::path& partial,
                                    const core::RangeSet& verified) override;
    Result<void> end_fetch(const RootHash& root, const std::filesystem::path& partial) override;

    std::optional<Bytes> setting(std::string_view key) override;
    Result<void> set_setting(std::string_view key, ByteView value) override;

    Result<void> check_catalogue() override { return {}; }
    Usage usage() override { return ledger_->usage(); }

  private:
    struct Object {
        ObjectInfo info;
        std::uint64_t number = 0;  // in order of arrival
        ByteCount cost;
    };
    /// One object that contains an extent, and how often.
    struct Membership {
        RootHash root;
        std::uint64_t times = 0;
    };
    struct KnownLease {
        proto::Lease lease;
        WallTime remembered_until;
        std::optional<core::AddressGroup> asker = {};
    };
    struct KnownNode {
        proto::NodeRecord record;
        std::uint64_t seen = 0;  // a later sighting has a higher number
        ByteCount cost;
    };
    using FetchKey = std::pair<RootHash, std::string>;
    using Extent = std::shared_ptr<const StoredExtent>;

    [[nodiscard]] static ByteCount cost_of(const StoredExtent& extent);

    // With mutex_ held.
    void add(Extent extent);
    /// What it cost.
    ByteCount remove(const Extent& extent);
    [[nodiscard]] bool kept(const Object& object, WallTime now) const;
    /// What is held under live leases that are `charged`.
    [[nodiscard]] ByteCount used_under(const std::function<bool(const KnownLease& lease)>& charged,
                                       WallTime now) const;
    ByteCount collect_extents(WallTime now, const std::unordered_set<ExtentHash>& awaited);
    ByteCount collect_leases(WallTime now);
    ByteCount collect_objects(WallTime now);
    ByteCount forget_item(const proto::ItemId& item);
    void trim_node_records();

    // Without mutex_.
    [[nodiscard]] Extent find(const ExtentHash& hash);
    [[nodiscard]] Error drop(const Extent& extent, const Error& damage);

    std::shared_ptr<Ledger> ledger_;
    MemoryStoreOptions options_;

    std::mutex mutex_;
    std::unordered_map<ExtentHash, Extent> extents_;
    std::unordered_map<ExtentHash, std::vector<Membership>> members_;
    std::unordered_map<RootHash, Object> objects_;
    std::unordered_map<RootHash, std::vector<KnownLease>> leases_;
    std::unordered_map<proto::ItemId, std::vector<NodeId>> holders_;  // sorted
    std::unordered_map<NodeId, KnownNode> nodes_;
    std::map<FetchKey, core::RangeSet> fetches_;
    std::map<std::string, Bytes, std::less<>> settings_;
    std::uint64_t next_number_ = 1;
};

}  // namespace flow29::store
