// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/extent_table.hpp"

#include "core/assert.hpp"
#include "core/layout.hpp"
#include "store/checksum.hpp"

#include <fmt/format.h>

#include <cstring>

namespace flow29::store {
namespace {

ExtentRow row_of(const Query& query) {
    return {query.integer(0), query.id<ExtentHash>(1), query.bytes(2),
            static_cast<Place>(query.integer(3)), query.bytes(4)};
}

template <class T>
std::vector<T> items_of(ByteView raw) {
    std::vector<T> items(raw.size() / sizeof(T));
    if (!items.empty()) std::memcpy(items.data(), raw.data(), items.size() * sizeof(T));
    return items;
}

template <class T>
ByteView octets_of(std::span<const T> items) {
    return {reinterpret_cast<const std::uint8_t*>(items.data()), items.size_bytes()};
}

// Catalogues hold these as they lie in memory.
static_assert(sizeof(TreeHash) == limits::hash_bytes);
static_assert(std::endian::native == std::endian::little);

}  // namespace

Result<std::optional<ExtentRow>> ExtentTable::find(const ExtentHash& hash) {
    Query query =
        database_.query("SELECT id, hash, length, place, cost FROM extents WHERE hash = ?1", hash);
    auto row = query.step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return std::nullopt;
    return row_of(query);
}

Result<void> ExtentTable::insert(const ExtentRow& row, const ExtentContents& contents) {
    auto inserted = database_
                        .query(
                            "INSERT INTO extents (hash, length, place, cost) "
                            "VALUES (?1, ?2, ?3, ?4)",
                            row.hash, row.length, static_cast<std::int64_t>(row.place), row.cost)
                        .run();
    if (!inserted) return fail(std::move(inserted.error()));
    const std::string& file = contents.file.native();
    auto filled = database_
                      .query(
                          "INSERT INTO extent_contents "
                          "(extent, groups, checksums, file, file_offset, data) "
                          "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                          database_.last_row_id(), octets_of(contents.group_hashes),
                          octets_of(contents.checksums), octets_of(std::span<const char>(file)),
                          contents.offset, contents.data)
                      .run();
    if (!filled) return fail(std::move(filled.error()));
    return {};
}

Result<void> ExtentTable::remove(std::int64_t id) {
    auto removed = database_.query("DELETE FROM extents WHERE id = ?1", id).run();
    if (!removed) return fail(std::move(removed.error()));
    return {};
}

Result<StoredExtent> ExtentTable::load(const ExtentRow& row) {
    Query query = database_.query(
        "SELECT groups, checksums, file, file_offset, data FROM extent_contents WHERE extent = ?1",
        row.id);
    auto found = query.step();
    if (!found) return fail(std::move(found.error()));
    if (!*found) return fail(Errc::corrupt_store, "catalogue: a row without its contents");

    const std::uint64_t blocks = checksum_blocks(row.length);
    const bool sound = row.length.value > 0 && row.length.value <= limits::extent_bytes_max &&
                       query.blob(0).size() == blocks * sizeof(TreeHash) &&
                       query.blob(1).size() == blocks * sizeof(std::uint32_t) &&
                       (row.place != Place::inside || query.blob(4).size() == row.length.value);
    if (!sound) return fail(Errc::corrupt_store, "catalogue: tree or checksums of a wrong size");

    StoredExtent extent{
        .id = row.id,
        .hash = row.hash,
        .length = row.length,
        .place = row.place,
        .file = std::string(query.text(2)),
        .offset = query.bytes(3),
        .data = core::Buffer::copy_of(query.blob(4)),
        .tree = core::GroupTree(items_of<TreeHash>(query.blob(0)), core::chunks_in(row.length),
                                limits::hash_group_level),
        .checksums = items_of<std::uint32_t>(query.blob(1)),
    };
    if (extent.tree.top() != row.hash)
        return fail(Errc::corrupt_store, "catalogue: the tree does not match the extent");
    return extent;
}

Result<bool> ExtentTable::is_marked(const ExtentHash& hash) {
    Query query = database_.query(R"(
        SELECT 1 FROM members JOIN objects ON objects.id = members.object
        WHERE members.hash = ?1 AND (published OR pinned))",
                                  hash);
    return query.step();
}

Result<std::vector<ExtentRow>> ExtentTable::collectable(RowRange rows, WallTime now, bool orphans) {
    Query query = database_.query(R"(
        SELECT id, hash, length, place, cost FROM extents
        WHERE id >= ?1 AND id < ?2 AND NOT EXISTS (
            SELECT 1 FROM members JOIN objects ON objects.id = members.object
            WHERE members.hash = extents.hash AND (published OR pinned OR EXISTS (
                SELECT 1 FROM leases
                WHERE leases.root = objects.root AND NOT withdrawn AND expires > ?3)))
            AND (?4 OR EXISTS (SELECT 1 FROM members WHERE members.hash = extents.hash)))",
                                  rows.first, rows.last, now, orphans);
    std::vector<ExtentRow> found;
    for (;;) {
        auto row = query.step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) return found;
        found.push_back(row_of(query));
    }
}

Result<std::vector<HeldExtent>> ExtentTable::after(const std::optional<ExtentHash>& hash,
                                                   std::size_t count_max) {
    // Every hash is greater than the empty blob.
    const ByteView bound = hash ? hash->view() : ByteView();
    Query query =
        database_.query("SELECT hash, length FROM extents WHERE hash > ?1 ORDER BY hash LIMIT ?2",
                        bound, static_cast<std::int64_t>(count_max));
    std::vector<HeldExtent> found;
    for (;;) {
        auto row = query.step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) return found;
        found.push_back({query.id<ExtentHash>(0), query.bytes(1)});
    }
}

Result<RowRange> ExtentTable::all_rows() {
    auto first = database_.integer("SELECT min(id) FROM extents");
    if (!first) return fail(std::move(first.error()));
    auto last = database_.integer("SELECT max(id) + 1 FROM extents");
    if (!last) return fail(std::move(last.error()));
    return RowRange{*first, *last};
}

Result<std::unordered_set<ExtentHash>> ExtentTable::in_files() {
    Query query = database_.query("SELECT hash FROM extents WHERE place = ?1",
                                  static_cast<std::int64_t>(Place::file));
    std::unordered_set<ExtentHash> hashes;
    for (;;) {
        auto row = query.step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) return hashes;
        hashes.insert(query.id<ExtentHash>(0));
    }
}

}  // namespace flow29::store
