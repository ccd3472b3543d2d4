// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>

#include <flow29/error.hpp>
#include "store/sqlite.hpp"

namespace flow29::store {

/// Opens the catalogue of a data directory whose lock is held, up to date. One that is not there is
/// made; one that is damaged, or empty or gone although there are extents, is set aside as
/// catalogue.db.damaged and made anew:
///
///     catalogue.db          the catalogue
///     catalogue.db.damaged  what it was made anew from; nobody needs it any more
///     catalogue.db.new      being made; worthless after a crash
///     catalogue.suspect     damage was met while it was in use: the next start makes it anew
///
/// A crash leaves either the damaged one alone, from which the next start goes on, or a whole one.
///
/// Errors: corrupt_store (of a later version, some other program's), file_error, no_space.
[[nodiscard]] Result<Database> open_catalogue(const std::filesystem::path& directory);

/// Has the next start make the catalogue anew.
[[nodiscard]] Result<void> suspect_catalogue(const std::filesystem::path& directory);

/// When a catalogue was made anew; nothing when it never was.
[[nodiscard]] std::optional<WallTime> rebuilt_at(Database& database);

}  // namespace flow29::store
