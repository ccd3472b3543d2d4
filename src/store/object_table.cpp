// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/object_table.hpp"

#include <fmt/format.h>

#include <map>

namespace flow29::store {
namespace {

ObjectRow row_of(const Query& query) {
    return {query.integer(0), query.id<RootHash>(1), std::string(query.text(2)), query.boolean(3),
            query.boolean(4), query.time(5),         query.bytes(6).value,       query.bytes(7)};
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
    auto rows = rows_of(database_.query(
        "SELECT id, root, name, published, pinned, added, held, cost FROM objects WHERE root = ?1",
        root));
    if (!rows) return fail(std::move(rows.error()));
    if (rows->empty()) return std::nullopt;
    return std::move(rows->front());
}

Result<std::vector<ObjectRow>> ObjectTable::all() {
    return rows_of(database_.query(
        "SELECT id, root, name, published, pinned, added, held, cost FROM objects ORDER BY id"));
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
    Query query = database_.query(
        "SELECT root FROM members JOIN objects ON objects.id = object WHERE hash = ?1 "
        "ORDER BY objects.id",
        extent);
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
        SELECT id, root, name, published, pinned, added, held, cost FROM objects
        WHERE held = 0 AND NOT published AND NOT pinned AND NOT EXISTS (
            SELECT 1 FROM leases
            WHERE leases.root = objects.root AND NOT withdrawn AND expires > ?1)
        LIMIT ?2)",
                                   now, std::int64_t{count_max}));
}

namespace {
Result<std::vector<proto::Lease>> read_leases(Query query) {
    std::vector<proto::Lease> leases;
    for (;;) {
        auto row = query.step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) return leases;
        auto lease = proto::Lease::decode(query.blob(0));
        if (!lease) return fail(Errc::corrupt_store, "catalogue: a lease is damaged");
        leases.push_back(std::move(*lease));
    }
}
}  // namespace

Result<std::vector<proto::Lease>> LeaseTable::of(const RootHash& root) {
    return read_leases(
        database_.query("SELECT encoded FROM leases WHERE root = ?1 ORDER BY publisher", root));
}

Result<std::vector<proto::Lease>> LeaseTable::withdrawn(std::size_t count_max) {
    return read_leases(
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

Result<void> LeaseTable::put(const proto::Lease& lease, WallTime remembered_until) {
    return without_count(
        database_
            .query("INSERT OR REPLACE INTO leases "
                   "(root, publisher, withdrawn, expires, remembered_until, encoded) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                   lease.root, lease.publisher, lease.withdrawn, lease.expires, remembered_until,
                   lease.encode())
            .run());
}

Result<std::uint64_t> LeaseTable::forget_before(WallTime past) {
    return database_.query("DELETE FROM leases WHERE remembered_until <= ?1", past).run();
}

}  // namespace flow29::store
