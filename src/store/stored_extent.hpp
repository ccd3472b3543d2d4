// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <vector>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "core/buffer.hpp"
#include "core/merkle.hpp"
#include "store/store.hpp"

namespace flow29::store {

/// Where an extent's data lie. The values are in catalogues on disk.
enum class Place : std::uint8_t {
    inside = 0,     ///< in the catalogue, or in memory
    file = 1,       ///< in a file of the store
    reference = 2,  ///< in somebody else's file
};

/// How many bytes were read of something, by any number of threads. A copy begins at none.
class ReadCount {
  public:
    ReadCount() = default;
    ReadCount(const ReadCount&) {}
    ReadCount& operator=(const ReadCount&) { return *this; }
    ~ReadCount() = default;

    /// What it was before.
    std::uint64_t add(ByteCount bytes) const { return bytes_.fetch_add(bytes.value); }

  private:
    mutable std::atomic<std::uint64_t> bytes_ = 0;
};

/// All that it takes to serve an extent.
struct StoredExtent {
    std::int64_t id = 0;  ///< its row
    ExtentHash hash;
    ByteCount length;
    Place place = Place::inside;
    std::filesystem::path file = {};  ///< unless inside
    ByteCount offset = {};            ///< in the file
    core::Buffer data = {};           ///< if inside
    core::GroupTree tree;
    /// Per block; none: the data need no check, as they are memory.
    std::vector<std::uint32_t> checksums = {};
    ReadCount read = {};

    /// What it takes in memory.
    [[nodiscard]] ByteCount footprint() const;
};

/// Reads the chunks and their proof. One read of the blocks that they touch, whose checksums are
/// all checked; hashes data only when the range does not lie on group borders.
/// Errors: refused (outside), corrupt_store (changed, short or gone: says which), file_error (this
/// attempt failed).
[[nodiscard]] Result<ExtentSlice> read_slice(const StoredExtent& extent, ChunkRange chunks);

/// Re-reads everything and hashes it; corrupt_store when data or tree are not what they were.
[[nodiscard]] Result<void> rehash(const StoredExtent& extent);

}  // namespace flow29::store
