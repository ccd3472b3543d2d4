// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/schema.hpp"

#include <fmt/format.h>

#include <array>

namespace flow29::store {
namespace {

constexpr std::int64_t application_id = 0x3239'4677;  // "29Fw", seen by file(1)
constexpr std::int64_t checked_bytes_max = 64 * 1024 * 1024;

// Version 1. `extents` is narrow, since start-up and collection walk all of it, and so are
// `objects`, since `held` changes with every extent: what is wide lies in tables of its own.
// members.times: one object may contain the same extent more than once.
constexpr const char* version_1 = R"(
CREATE TABLE extents (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    length INTEGER NOT NULL,
    place INTEGER NOT NULL,
    cost INTEGER NOT NULL
) STRICT;
CREATE TABLE extent_contents (
    extent INTEGER PRIMARY KEY REFERENCES extents ON DELETE CASCADE,
    groups BLOB NOT NULL,
    checksums BLOB NOT NULL,
    file BLOB NOT NULL,
    file_offset INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    root BLOB NOT NULL UNIQUE CHECK (length(root) = 32),
    name TEXT NOT NULL,
    published INTEGER NOT NULL DEFAULT 0,
    pinned INTEGER NOT NULL DEFAULT 0,
    added INTEGER NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    cost INTEGER NOT NULL
) STRICT;
CREATE TABLE descriptors (
    object INTEGER PRIMARY KEY REFERENCES objects ON DELETE CASCADE,
    encoded BLOB NOT NULL
) STRICT;
CREATE TABLE members (
    object INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE,
    hash BLOB NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (object, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_hash ON members (hash);

CREATE TRIGGER extent_added AFTER INSERT ON extents BEGIN
    UPDATE objects SET held = held +
        (SELECT times FROM members WHERE object = objects.id AND hash = NEW.hash)
    WHERE id IN (SELECT object FROM members WHERE hash = NEW.hash);
END;
CREATE TRIGGER extent_removed AFTER DELETE ON extents BEGIN
    UPDATE objects SET held = held -
        (SELECT times FROM members WHERE object = objects.id AND hash = OLD.hash)
    WHERE id IN (SELECT object FROM members WHERE hash = OLD.hash);
END;

CREATE TABLE leases (
    root BLOB NOT NULL,
    publisher BLOB NOT NULL,
    withdrawn INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    remembered_until INTEGER NOT NULL,
    encoded BLOB NOT NULL,
    PRIMARY KEY (root, publisher)
) STRICT, WITHOUT ROWID;

CREATE TABLE holders (
    item BLOB NOT NULL,
    node BLOB NOT NULL,
    PRIMARY KEY (item, node)
) STRICT, WITHOUT ROWID;
CREATE TABLE node_records (
    seen INTEGER PRIMARY KEY,
    node BLOB NOT NULL UNIQUE,
    encoded BLOB NOT NULL,
    cost INTEGER NOT NULL
) STRICT;
CREATE TABLE fetches (
    root BLOB NOT NULL,
    partial BLOB NOT NULL,
    verified BLOB NOT NULL,
    cost INTEGER NOT NULL,
    PRIMARY KEY (root, partial)
) STRICT, WITHOUT ROWID;
CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    cost INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)";

// Version 2: leases are renewed, and who asked for something is charged for it. What was published
// for about the default of a year was published without an end.
constexpr const char* version_2 = R"(
ALTER TABLE objects ADD COLUMN renewal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE leases ADD COLUMN asker BLOB NOT NULL DEFAULT x'';
CREATE INDEX leases_by_publisher ON leases (publisher);
CREATE INDEX leases_by_asker ON leases (asker);
UPDATE objects SET renewal = 31536000000 WHERE published AND EXISTS (
    SELECT 1 FROM leases WHERE leases.root = objects.root AND NOT withdrawn
        AND expires - objects.added >= 31532400000);
)";

// Version 3: what has no hash or signature of its own has a checksum.
constexpr const char* version_3 = R"(
ALTER TABLE fetches ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE fetches SET checksum = crc32c(root, partial, verified);
ALTER TABLE settings ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE settings SET checksum = crc32c(key, value);
)";

// Version 4: a node's record says in which swarm it was met. Of those from before that is not
// known: any swarm may try them.
constexpr const char* version_4 = R"(
ALTER TABLE node_records ADD COLUMN swarm BLOB NOT NULL DEFAULT x'';
)";

constexpr std::array steps = {version_1, version_2, version_3, version_4};
constexpr std::array tables = {"extents", "extent_contents", "objects", "descriptors",
                               "members", "leases",          "holders", "node_records",
                               "fetches", "settings"};

Result<void> expect_sound(Query check) {
    auto row = check.step();
    if (!row) return fail(std::move(row.error()));
    if (!*row || check.text(0) != "ok")
        return fail(Errc::corrupt_store,
                    fmt::format("catalogue: {}", *row ? check.text(0) : "no answer"));
    return {};
}

Result<void> run_step(Database& database, const char* step, std::int64_t version) {
    auto transaction = Transaction::begin(database);
    if (!transaction) return fail(std::move(transaction.error()));
    if (auto done = database.execute(step); !done) return done;
    if (auto done = mark_version(database, version); !done) return done;
    return transaction->commit();
}

}  // namespace

Result<void> mark_version(Database& database, std::int64_t version) {
    // Pragmas take no bound values.
    const std::string mark = fmt::format("PRAGMA user_version = {}; PRAGMA application_id = {}",
                                         version, application_id);
    return database.execute(mark.c_str());
}

Result<bool> is_marked(Database& database, std::int64_t version) {
    auto marked = database.integer("PRAGMA user_version");
    if (!marked) return fail(std::move(marked.error()));
    auto owner = database.integer("PRAGMA application_id");
    if (!owner) return fail(std::move(owner.error()));
    return *marked == version && *owner == application_id;
}

std::span<const char* const> schema_steps() {
    return steps;
}

Result<void> migrate(Database& database, std::span<const char* const> wanted) {
    auto version = database.integer("PRAGMA user_version");
    if (!version) return fail(std::move(version.error()));
    auto owner = database.integer("PRAGMA application_id");
    if (!owner) return fail(std::move(owner.error()));
    auto table_count = database.integer("SELECT count(*) FROM sqlite_schema");
    if (!table_count) return fail(std::move(table_count.error()));

    if (*table_count != 0 && *owner != application_id)
        return fail(Errc::corrupt_store, "catalogue: some other program's database");
    const auto latest = static_cast<std::int64_t>(wanted.size());
    if (*version < 0 || *version > latest) {
        return fail(Errc::corrupt_store,
                    fmt::format("catalogue: of version {}, and this program knows up to {}; if no "
                                "later one made it, it is damaged: move catalogue.db away, and "
                                "it is made anew",
                                *version, latest));
    }
    for (std::int64_t next = *version; next < latest; ++next) {
        auto done = run_step(database, wanted[static_cast<std::size_t>(next)], next + 1);
        if (!done) return done;
    }
    return {};
}

Result<void> check_structure(Database& database) {
    auto pages = database.integer("PRAGMA page_count");
    if (!pages) return fail(std::move(pages.error()));
    auto page_bytes = database.integer("PRAGMA page_size");
    if (!page_bytes) return fail(std::move(page_bytes.error()));
    if (*pages * *page_bytes > checked_bytes_max) return {};

    return expect_sound(database.query("PRAGMA integrity_check(1)"));
}

std::span<const char* const> schema_tables() {
    return tables;
}

Result<void> check_table(Database& database, const char* table) {
    // Pragmas take no bound values, but there is a function of the same name that does.
    return expect_sound(database.query("SELECT integrity_check FROM pragma_integrity_check(?1)",
                                       std::string_view(table)));
}

}  // namespace flow29::store
