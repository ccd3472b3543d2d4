// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>

#include <flow29/error.hpp>
#include "store/extent_files.hpp"
#include "store/sqlite.hpp"

namespace flow29::store {

/// What came back into a new catalogue.
struct Rebuilt {
    std::uint64_t objects = 0;
    std::uint64_t leases = 0;
    std::uint64_t extents = 0;  ///< of which the damaged catalogue still had the tree
    std::uint64_t hashed = 0;   ///< extent files that had to be read to know what they are
    std::uint64_t lost = 0;     ///< files that are no longer what their name says
};

/// Fills a new catalogue with what can still be read of a damaged one and with what the extent
/// files themselves say. Everything is proved before it is taken over: extents and descriptors by
/// their hashes, leases and node records by their signatures. Who holds what is taken over as it
/// is, being a hint, and so are settings. Notes of fetches are not: they claim that bytes are right
/// which nobody would look at again.
///
/// `damaged` may be a file that SQLite refuses altogether: then only extent files come back.
/// Objects, names and leases are then lost here. The leases that others know come back when their
/// holders miss this node's copies and invite it: see DiskStore::collect for how long extents wait
/// for that. Errors: those of writing `fresh`.
[[nodiscard]] Result<Rebuilt> rebuild_catalogue(Database& fresh,
                                                const std::filesystem::path& damaged,
                                                const ExtentFiles& files);

}  // namespace flow29::store
