// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <unordered_set>
#include <vector>

#include <flow29/error.hpp>
#include "core/time.hpp"
#include "store/sqlite.hpp"
#include "store/stored_extent.hpp"

namespace flow29::store {

/// An extent as the catalogue's narrow table has it.
struct ExtentRow {
    std::int64_t id = 0;
    ExtentHash hash;
    ByteCount length;
    Place place = Place::inside;
    ByteCount cost;
};

/// What a new row refers to; borrowed for one call.
struct ExtentContents {
    std::span<const TreeHash> group_hashes = {};
    std::span<const std::uint32_t> checksums = {};
    std::filesystem::path file = {};  ///< of a reference
    ByteCount offset = {};
    ByteView data = {};  ///< if inside
};

/// Half-open run of row numbers.
struct RowRange {
    std::int64_t first = 0;
    std::int64_t last = 0;
};

/// The extents of the catalogue. Not thread-safe; writers call within a transaction.
class ExtentTable {
  public:
    explicit ExtentTable(Database& database) : database_(database) {}

    [[nodiscard]] Result<std::optional<ExtentRow>> find(const ExtentHash& hash);
    /// Requires that it is not there.
    [[nodiscard]] Result<void> insert(const ExtentRow& row, const ExtentContents& contents);
    [[nodiscard]] Result<void> remove(std::int64_t id);
    /// Everything to serve it, the path of Place::file excepted.
    /// Errc::corrupt_store when tree or checksums are not of the size or hash they must have.
    [[nodiscard]] Result<StoredExtent> load(const ExtentRow& row);

    /// Whether an object that contains it is published or pinned here.
    [[nodiscard]] Result<bool> is_marked(const ExtentHash& hash);
    /// Extents in `rows` that nothing published, pinned or leased at `now` contains; with
    /// `orphans`, those that no object contains are among them.
    [[nodiscard]] Result<std::vector<ExtentRow>> collectable(RowRange rows, WallTime now,
                                                             bool orphans);
    /// In the order of their hashes, those after this one.
    [[nodiscard]] Result<std::vector<HeldExtent>> after(const std::optional<ExtentHash>& hash,
                                                        std::size_t count_max);
    /// From the first row to past the last.
    [[nodiscard]] Result<RowRange> all_rows();
    [[nodiscard]] Result<std::unordered_set<ExtentHash>> in_files();

  private:
    Database& database_;  // the catalogue's
};

}  // namespace flow29::store
