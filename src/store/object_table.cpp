// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/object_table.hpp"

#include "store/cost.hpp"

#include <fmt/format.h>

namespace flow29::store {
namespace {

ObjectRow row_of(const Query& query) {
    return {.id = query.integer(0),
            .root = query.id<RootHash>(1),
            .name = std::string(query.text(2)),
            .published = query.boolean(3),
            .pinned = query.boolean(4),
            .renewal = std::chrono::milliseconds(query.integer(8)),
            .added = query.time(5),
            .held = query.bytes(6).value,
            .cost = query.bytes(7)};
}

Result<std::vector<ObjectRow>> rows_of(Query query) {
    std::vector<ObjectRow> rows;
    for (;;) {
        auto row = query.step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) return rows;
        rows.push_back(row_of(query));
    }
}

Result<void> without_count(Result<std::uint64_t> changed) {
    if (!changed) return fail(std::move(changed.error()));
    return {};
}

}  // namespace

Result<std::optional<ObjectRow>> ObjectTable::find(const RootHash& root) {
    auto rows =
        rows_of(database_.query("SELECT id, root, name, published, pinned, added, held, cost, "
                                "renewal FROM objects WHERE root = ?1",
                                root));
    if (!rows) return fail(std::move(rows.error()));
    if (rows->empty()) return std::nullopt;
    return std::move(rows->front());
}

Result<std::vector<ObjectRow>> ObjectTable::all() {
    return rows_of(
        database_.query("SELECT id, root, name, published, pinned, added, held, cost, renewal FROM "
                        "objects ORDER BY id"));
}

Result<void> ObjectTable::insert(const ObjectRow& row, const core::Descriptor& descriptor) {
    auto inserted = database_
                        .query(
                            "INSERT INTO objects (root, name, added, cost) "
                            "VALUES (?1, ?2, ?3, ?4)",
                            row.root, row.name, row.added, row.cost)
                        .run();
    if (!inserted) return without_count(std::move(inserted));
    const std::int64_t id = database_.last_row_id();

    auto described = database_
                         .query("INSERT INTO descriptors (object, encoded) VALUES (?1, ?2)", id,
                                descriptor.encode())
                         .run();
    if (!described) return without_count(std::move(described));

    std::map<ExtentHash, std::int64_t> times;
    for (const ExtentHash& extent : descriptor.extents)
        ++times[extent];
    for (const auto& [extent, count] : times) {
        auto member = database_
                          .query("INSERT INTO members (object, hash, times) VALUES (?1, ?2, ?3)",
                                 id, extent, count)
                          .run();
        if (!member) return without_count(std::move(member));
    }
    return without_count(database_
                             .query("UPDATE objects SET held = (SELECT coalesce(sum(times), 0) "
                                    "FROM members JOIN extents USING (hash) WHERE object = ?1) "
                                    "WHERE id = ?1",
                                    id)
                             .run());
}

Result<void> ObjectTable::rename(std::int64_t id, std::string_view name, ByteCount cost) {
    return without_count(
        database_.query("UPDATE objects SET name = ?2, cost = ?3 WHERE id = ?1", id, name, cost)
            .run());
}

Result<void> ObjectTable::keep(std::int64_t id, Keep mark, bool value) {
    const std::string_view sql = mark == Keep::pinned
                                     ? "UPDATE objects SET pinned = ?2 WHERE id = ?1"
                                     : "UPDATE objects SET published = ?2 WHERE id = ?1";
    return without_count(database_.query(sql, id, value).run());
}

Result<void> ObjectTable::set_renewal(std::int64_t id, std::chrono::milliseconds renewal) {
    return without_count(database_
                             .query("UPDATE objects SET renewal = ?2 WHERE id = ?1", id,
                                    std::int64_t{renewal.count()})
                             .run());
}

Result<void> ObjectTable::remove(std::int64_t id) {
    return without_count(database_.query("DELETE FROM objects WHERE id = ?1", id).run());
}

Result<core::Descriptor> ObjectTable::descriptor(const ObjectRow& row) {
    Query query = database_.query("SELECT encoded FROM descriptors WHERE object = ?1", row.id);
    auto found = query.step();
    if (!found) return fail(std::move(found.error()));
    auto decoded = core::Descriptor::decode(*found ? query.blob(0) : ByteView(), row.root);
    if (!decoded) {
        return fail(Errc::corrupt_store, fmt::format("the stored descriptor of {} is damaged: {}",
                                                     to_hex(row.root), decoded.error().message()));
    }
    return decoded;
}

Result<void> ObjectTable::replace_descriptor(std::int64_t id, ByteView encoded) {
    return without_count(
        database_
            .query("INSERT OR REPLACE INTO descriptors (object, encoded) VALUES (?1, ?2)", id,
                   encoded)
            .run());
}

Result<std::vector<RootHash>> ObjectTable::roots_of(const ExtentHash& extent) {
    return roots_in(database_.query(
        "SELECT root FROM members JOIN objects ON objects.id = object WHERE hash = ?1 "
        "ORDER BY objects.id",
        extent));
}

Result<std::vector<RootHash>> ObjectTable::fetched() {
    return roots_in(database_.query(R"(
        SELECT root FROM objects
        WHERE held > 0 AND NOT published AND NOT pinned AND NOT EXISTS (
            SELECT 1 FROM leases WHERE leases.root = objects.root)
        ORDER BY id)"));
}

Result<std::vector<RootHash>> ObjectTable::roots_in(Query query) {
    std::vector<RootHash> roots;
    for (;;) {
        auto row = query.step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) return roots;
        roots.push_back(query.id<RootHash>(0));
    }
}

Result<std::vector<ObjectRow>> ObjectTable::collectable(WallTime now, unsigned count_max) {
    return rows_of(database_.query(R"(
        SELECT id, root, name, published, pinned, added, held, cost, renewal FROM objects
        WHERE held = 0 AND NOT published AND NOT pinned AND NOT EXISTS (
            SELECT 1 FROM leases
            WHERE leases.root = objects.root AND NOT withdrawn AND expires > ?1)
        LIMIT ?2)",
                                   now, std::int64_t{count_max}));
}

Result<proto::Lease> LeaseTable::decode(ByteView encoded) {
    constexpr std::size_t sound_max = 32'768;
    const auto digest = core::sha256({encoded});
    if (const auto known = sound_.find(digest); known != sound_.end()) return known->second;
    auto lease = proto::Lease::decode(encoded);
    if (!lease) return fail(Errc::corrupt_store, "catalogue: a lease is damaged");
    // Those that were replaced meanwhile go with the others.
    if (sound_.size() >= sound_max) sound_.clear();
    sound_.emplace(digest, *lease);
    return lease;
}

Result<std::vector<proto::Lease>> LeaseTable::read(Query query) {
    std::vector<proto::Lease> leases;
    for (;;) {
        auto row = query.step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) return leases;
        auto lease = decode(query.blob(0));
        if (!lease) return fail(std::move(lease.error()));
        leases.push_back(std::move(*lease));
    }
}

Result<std::vector<proto::Lease>> LeaseTable::of(const RootHash& root) {
    return read(
        database_.query("SELECT encoded FROM leases WHERE root = ?1 ORDER BY publisher", root));
}

Result<std::vector<proto::Lease>> LeaseTable::withdrawn(std::size_t count_max) {
    return read(
        database_.query("SELECT encoded FROM leases WHERE withdrawn = 1 ORDER BY root LIMIT ?1",
                        static_cast<std::int64_t>(count_max)));
}

Result<WallTime> LeaseTable::remembered_until(const RootHash& root, const PublicKey& publisher) {
    Query query = database_.query(
        "SELECT remembered_until FROM leases WHERE root = ?1 AND publisher = ?2", root, publisher);
    auto row = query.step();
    if (!row) return fail(std::move(row.error()));
    return *row ? query.time(0) : WallTime{};
}

Result<void> LeaseTable::put(const proto::Lease& lease, WallTime remembered_until,
                             bool keep_asker) {
    return without_count(
        database_
            .query("INSERT INTO leases "
                   "(root, publisher, withdrawn, expires, remembered_until, encoded) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (root, publisher) DO UPDATE SET "
                   "withdrawn = ?3, expires = ?4, remembered_until = ?5, encoded = ?6, "
                   "asker = iif(?7, asker, x'')",
                   lease.root, lease.publisher, lease.withdrawn, lease.expires, remembered_until,
                   lease.encode(), keep_asker)
            .run());
}

namespace {
Party party_of(ByteView octets) {
    return {octets.begin(), octets.end()};
}

Result<std::vector<LeaseTable::Charged>> read_charged(Query query) {
    std::vector<LeaseTable::Charged> charged;
    for (;;) {
        auto row = query.step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) return charged;
        charged.push_back({party_of(query.blob(0)), party_of(query.blob(1)), query.time(2),
                           query.id<RootHash>(3)});
    }
}

Result<Shares::Share> read_share(Query query, WallTime now) {
    auto row = query.step();
    if (!row) return fail(std::move(row.error()));
    Shares::Share share{query.bytes(0), now, WallTime::max()};
    share.used += ByteCount(query.bytes(1).value * cost::lease_row);
    if (query.integer(1) > 0) share.valid_until = query.time(2);
    return share;
}
}  // namespace

Result<std::vector<LeaseTable::Charged>> LeaseTable::charged_for(const RootHash& root) {
    return read_charged(
        database_.query("SELECT publisher, asker, expires, root FROM leases "
                        "WHERE root = ?1 AND NOT withdrawn",
                        root));
}

Result<std::vector<LeaseTable::Charged>> LeaseTable::charged_for(const ExtentHash& extent) {
    return read_charged(
        database_.query("SELECT publisher, asker, expires, leases.root FROM members "
                        "JOIN objects ON objects.id = object JOIN leases USING (root) "
                        "WHERE hash = ?1 AND NOT withdrawn",
                        extent));
}

Result<bool> LeaseTable::set_asker(const RootHash& root, const PublicKey& publisher,
                                   const core::AddressGroup& asker) {
    auto changed = database_
                       .query(
                           "UPDATE leases SET asker = iif(asker = x'', ?3, asker) "
                           "WHERE root = ?1 AND publisher = ?2",
                           root, publisher, asker)
                       .run();
    if (!changed) return fail(std::move(changed.error()));
    return *changed > 0;
}

Result<Shares::Share> LeaseTable::share_of(const PublicKey& publisher, WallTime now) {
    return read_share(database_.query(R"(
        WITH live AS MATERIALIZED (
            SELECT root, expires FROM leases
            WHERE publisher = ?1 AND NOT withdrawn AND expires > ?2)
        SELECT CAST((SELECT total(cost) FROM extents WHERE hash IN (
                    SELECT hash FROM live JOIN objects USING (root)
                    JOIN members ON object = objects.id))
                + (SELECT total(cost) FROM objects WHERE root IN (SELECT root FROM live))
                AS INTEGER),
            (SELECT count(*) FROM live), (SELECT min(expires) FROM live))",
                                      publisher, now),
                      now);
}

Result<Shares::Share> LeaseTable::share_of(const core::AddressGroup& asker, WallTime now) {
    return read_share(database_.query(R"(
        WITH live AS MATERIALIZED (
            SELECT root, expires FROM leases
            WHERE asker = ?1 AND NOT withdrawn AND expires > ?2)
        SELECT CAST((SELECT total(cost) FROM extents WHERE hash IN (
                    SELECT hash FROM live JOIN objects USING (root)
                    JOIN members ON object = objects.id))
                + (SELECT total(cost) FROM objects WHERE root IN (SELECT root FROM live))
                AS INTEGER),
            (SELECT count(*) FROM live), (SELECT min(expires) FROM live))",
                                      asker, now),
                      now);
}

Result<std::uint64_t> LeaseTable::drop(const RootHash& root) {
    return database_.query("DELETE FROM leases WHERE root = ?1 AND NOT withdrawn", root).run();
}

Result<std::uint64_t> LeaseTable::forget_before(WallTime past) {
    return database_.query("DELETE FROM leases WHERE remembered_until <= ?1", past).run();
}

}  // namespace flow29::store
