// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <mutex>
#include <optional>
#include <unordered_map>

#include "store/extent_cache.hpp"
#include "store/extent_files.hpp"
#include "store/extent_table.hpp"
#include "store/file.hpp"
#include "store/ledger.hpp"
#include "store/note_table.hpp"
#include "store/object_table.hpp"
#include "store/shares.hpp"
#include "store/sqlite.hpp"
#include "store/store.hpp"

namespace flow29::store {

/// The store in a directory:
///
///     lock            held while open; says the process id
///     catalogue.db    SQLite: everything small, and which extents there are; see open_catalogue
///     extents/, tmp/  see ExtentFiles
///
/// Locks: `mutex_` guards the catalogue and `writing_`, and is held across a commit's sync; the
/// ledger and the cache have their own, taken inside it. Files are read and written outside all of
/// them, so a served range waits for no commit once its extent is cached.
///
/// What keeps files and rows together without a lock over both:
/// 1. A file is whole and synced before its row is committed.
/// 2. `writing_` counts writers of an extent. Whoever removes its row leaves the file to them, and
///    the last of them deletes it if no row came of it.
/// 3. A reader that finds the file gone or changed looks again whether the row is still the one it
///    read: if not, the extent was merely removed meanwhile.
class DiskStore final : public Store {
  public:
    /// Requires the lock of the directory and a catalogue that is up to date.
    DiskStore(const DiskStoreOptions& options, DirectoryLock lock, Database database);
    ~DiskStore() override;
    /// Deletes what a crash left behind and counts what is there.
    [[nodiscard]] Result<void> start();

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

    Result<void> check_catalogue() override;
    Usage usage() override;

  private:
    /// Announces extents that are about to be written and, when destroyed, tidies up after those
    /// that got no row.
    class Writing;
    /// An extent that is not here yet.
    struct Arrival {
        const NewExtent* extent;  // of the caller
        std::vector<std::uint32_t> checksums;
    };
    struct Inserted {
        ByteCount cost;
        std::int64_t count = 0;
        std::vector<std::pair<ExtentHash, ByteCount>> extents;  // with what each costs
        std::vector<ExtentRow> replaced;  // references that the store's own copies follow
    };

    // With mutex_ held.
    [[nodiscard]] Result<std::vector<Arrival>> missing(const std::vector<NewExtent>& extents);
    [[nodiscard]] Result<Inserted> insert_missing(const std::vector<Arrival>& arrivals);
    [[nodiscard]] Result<Inserted> insert_missing(const std::vector<ExtentReference>& extents);
    void forget(const ExtentRow& row);
    /// Has the shares of those say so for whose leases the extent is kept.
    void charge_shares(const ExtentHash& extent, ByteCount cost, bool comes);
    /// `cost`: of an object that is new, nothing of which was here before it.
    void on_object_put(const RootHash& root, std::optional<ByteCount> cost);
    void forget_shares(const RootHash& root);
    [[nodiscard]] Result<ObjectInfo> info_of(const ObjectRow& row);
    [[nodiscard]] Result<ByteCount> forget_item(const proto::ItemId& item);
    [[nodiscard]] Result<ByteCount> collect_extents(RowRange rows, WallTime now,
                                                    const std::unordered_set<ExtentHash>& awaited);
    [[nodiscard]] Result<ByteCount> remove_extents(const std::vector<ExtentRow>& doomed);
    [[nodiscard]] Result<ByteCount> forget_leases(WallTime now);
    /// Nothing once there is none left.
    [[nodiscard]] Result<std::optional<ByteCount>> collect_objects(WallTime now);

    // Without mutex_.
    template <class Extents>
    [[nodiscard]] Result<void> commit(const Extents& extents, Charge charge);
    [[nodiscard]] Result<std::shared_ptr<const StoredExtent>> load(const ExtentHash& hash);
    [[nodiscard]] Error drop(const ExtentHash& hash, std::int64_t id, const Error& damage);
    [[nodiscard]] Result<void> check_disk(ByteCount bytes) const;
    [[nodiscard]] ByteCount left_on(const DiskSpace& space) const;
    [[nodiscard]] Result<std::unique_ptr<Reservation>> reserve_cost(ByteCount cost);
    [[nodiscard]] Result<void> keep(const RootHash& root, Keep mark, bool value);
    [[nodiscard]] Result<ByteCount> collect_all_extents(
        WallTime now, const std::unordered_set<ExtentHash>& awaited);
    void shrink_catalogue();
    /// With mutex_ held: has the next start make the catalogue anew if damage was met.
    void note_damage();

    const std::filesystem::path directory_;
    const core::SwarmName swarm_;
    DirectoryLock lock_;
    std::shared_ptr<Ledger> ledger_;
    ExtentCache cache_;
    ExtentFiles files_;

    std::mutex mutex_;
    Database database_;
    ExtentTable extents_{database_};
    ObjectTable objects_{database_};
    LeaseTable leases_{database_};
    NoteTable notes_{database_};
    Shares shares_;
    std::unordered_map<ExtentHash, unsigned> writing_;
    bool noted_damage_ = false;
    WallTime orphans_kept_until_ = WallTime::min();  // extents that no object contains
};

}  // namespace flow29::store
