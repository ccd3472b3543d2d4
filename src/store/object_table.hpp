// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <flow29/error.hpp>
#include "core/descriptor.hpp"
#include "core/hash.hpp"
#include "core/time.hpp"
#include "proto/record.hpp"
#include "store/shares.hpp"
#include "store/sqlite.hpp"
#include "store/store.hpp"

namespace flow29::store {

/// An object without its descriptor.
struct ObjectRow {
    std::int64_t id = 0;
    RootHash root;
    std::string name;
    bool published = false;
    bool pinned = false;
    std::chrono::milliseconds renewal{};
    WallTime added;
    std::uint64_t held = 0;
    ByteCount cost;
};

/// A mark that keeps an object's extents.
enum class Keep { published, pinned };

/// The objects of the catalogue with their descriptors. Not thread-safe; writers call within a
/// transaction.
class ObjectTable {
  public:
    explicit ObjectTable(Database& database) : database_(database) {}

    [[nodiscard]] Result<std::optional<ObjectRow>> find(const RootHash& root);
    [[nodiscard]] Result<std::vector<ObjectRow>> all();
    /// Requires that it is not there. Ignores row.id and row.held.
    [[nodiscard]] Result<void> insert(const ObjectRow& row, const core::Descriptor& descriptor);
    [[nodiscard]] Result<void> rename(std::int64_t id, std::string_view name, ByteCount cost);
    [[nodiscard]] Result<void> keep(std::int64_t id, Keep mark, bool value);
    [[nodiscard]] Result<void> set_renewal(std::int64_t id, std::chrono::milliseconds renewal);
    [[nodiscard]] Result<void> remove(std::int64_t id);

    /// Errc::corrupt_store when the stored octets no longer prove themselves.
    [[nodiscard]] Result<core::Descriptor> descriptor(const ObjectRow& row);
    [[nodiscard]] Result<void> replace_descriptor(std::int64_t id, ByteView encoded);
    [[nodiscard]] Result<std::vector<RootHash>> roots_of(const ExtentHash& extent);
    [[nodiscard]] Result<std::vector<RootHash>> fetched();

    /// Some objects, at most `count_max`, that nothing keeps at `now` and of which no extent is
    /// held.
    [[nodiscard]] Result<std::vector<ObjectRow>> collectable(WallTime now, unsigned count_max);

  private:
    [[nodiscard]] static Result<std::vector<RootHash>> roots_in(Query query);

    Database& database_;  // the catalogue's
};

/// The leases of the catalogue. Not thread-safe; writers call within a transaction.
class LeaseTable {
  public:
    explicit LeaseTable(Database& database) : database_(database) {}

    /// Of one root, by publisher; withdrawn and past ones too.
    [[nodiscard]] Result<std::vector<proto::Lease>> of(const RootHash& root);
    /// Withdrawn ones of any root, at most `count_max`.
    [[nodiscard]] Result<std::vector<proto::Lease>> withdrawn(std::size_t count_max);
    /// A lease of the root that is not withdrawn, for whom it counts.
    struct Charged {
        Party publisher;
        Party asker;  ///< empty: not noted
        WallTime expires;
        RootHash root;
    };
    [[nodiscard]] Result<std::vector<Charged>> charged_for(const RootHash& root);
    /// The same of all roots that contain the extent.
    [[nodiscard]] Result<std::vector<Charged>> charged_for(const ExtentHash& extent);
    /// False when there is no such lease.
    [[nodiscard]] Result<bool> set_asker(const RootHash& root, const PublicKey& publisher,
                                         const core::AddressGroup& asker);
    [[nodiscard]] Result<Shares::Share> share_of(const PublicKey& publisher, WallTime now);
    [[nodiscard]] Result<Shares::Share> share_of(const core::AddressGroup& asker, WallTime now);
    /// All of the root but the withdrawn ones; how many.
    [[nodiscard]] Result<std::uint64_t> drop(const RootHash& root);
    /// How long the publisher's lease must be remembered, whatever replaces it.
    [[nodiscard]] Result<WallTime> remembered_until(const RootHash& root,
                                                    const PublicKey& publisher);
    /// `keep_asker`: who asked for the one it replaces has asked for this one.
    [[nodiscard]] Result<void> put(const proto::Lease& lease, WallTime remembered_until,
                                   bool keep_asker);
    /// Forgets leases that nobody could bring back any more; how many.
    [[nodiscard]] Result<std::uint64_t> forget_before(WallTime past);

  private:
    [[nodiscard]] Result<std::vector<proto::Lease>> read(Query query);
    [[nodiscard]] Result<proto::Lease> decode(ByteView encoded);

    Database& database_;  // the catalogue's
    /// By the hash of what is in the catalogue. Rationale: a signature takes longer to check than
    /// all else that is read of an object, and who lists ten thousand of them does so every second.
    std::map<core::Sha256Digest, proto::Lease> sound_;
};

}  // namespace flow29::store
