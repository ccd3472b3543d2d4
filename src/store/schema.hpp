// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>

#include <flow29/error.hpp>
#include "store/sqlite.hpp"

namespace flow29::store {

/// The catalogue's migrations: step i takes a file from version i to i + 1, an empty one being 0.
/// A published step never changes; a new version appends one.
[[nodiscard]] std::span<const char* const> schema_steps();

/// Brings `database` to version steps.size(), each step in a transaction of its own.
/// Errc::corrupt_store when it is of a later version or is some other program's file.
[[nodiscard]] Result<void> migrate(Database& database, std::span<const char* const> steps);

/// Says in the header that the database is ours, and of which version.
[[nodiscard]] Result<void> mark_version(Database& database, std::int64_t version);
/// Whether the header says just that.
[[nodiscard]] Result<bool> is_marked(Database& database, std::int64_t version);

/// The tables of the newest version.
[[nodiscard]] std::span<const char* const> schema_tables();

/// Looks for structural damage in one table, and whether its indices say the same;
/// Errc::corrupt_store. `table` is one of schema_tables.
[[nodiscard]] Result<void> check_table(Database& database, const char* table);

/// The same for all tables; Errc::corrupt_store. Reads the whole file, so only done to small
/// ones: larger ones report damage when they meet it.
[[nodiscard]] Result<void> check_structure(Database& database);

}  // namespace flow29::store
