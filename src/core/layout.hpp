// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/ids.hpp>
#include <flow29/limits.hpp>

namespace flow29::core {

/// ceil(bytes / 512).
[[nodiscard]] constexpr ChunkCount chunks_in(ByteCount bytes) {
    return ChunkCount(bytes.value / limits::chunk_bytes +
                      (bytes.value % limits::chunk_bytes != 0 ? 1 : 0));
}

/// The default extent level for a file: 1 MiB extents up to 256 MiB, then at most 256 extents up to
/// 16 GiB, then 64 MiB each. Fewer, larger groups make a whole file likelier to be readable.
[[nodiscard]] unsigned default_extent_level(ByteCount length);

/// How an object of `length` bytes falls into chunks and extents of 2^`level` chunks.
///
///     bytes   0        512      1024             length
///     chunk   |   0    |   1    |   2    | ...  |n-1|      last one short, never padded
///     extent  |        0        |       1       | ...|     last one ragged
///
/// An empty object has no chunks and no extents. All ranges are half-open.
class Layout {
  public:
    /// Requires level <= limits::extent_level_max.
    Layout(ByteCount length, unsigned level);

    [[nodiscard]] ByteCount length() const { return length_; }
    [[nodiscard]] unsigned level() const { return level_; }
    [[nodiscard]] ChunkCount chunks() const { return chunks_in(length_); }
    /// Chunks of a full extent: 2^level.
    [[nodiscard]] ChunkCount chunks_per_extent() const { return ChunkCount(1ULL << level_); }
    [[nodiscard]] std::uint64_t extents() const;

    /// Where extent `index` lies in the object. Requires index < extents().
    [[nodiscard]] ByteRange extent_bytes(ExtentIndex index) const;
    [[nodiscard]] ChunkRange extent_chunks(ExtentIndex index) const;
    [[nodiscard]] ByteCount extent_length(ExtentIndex index) const;

    /// The extent that holds a byte or chunk of the object. Requires it to be inside.
    [[nodiscard]] ExtentIndex extent_of(ByteCount offset) const;
    [[nodiscard]] ExtentIndex extent_of(ChunkIndex chunk) const;

  private:
    ByteCount length_;
    unsigned level_;
};

/// The bytes that a chunk range covers in something of `length` bytes; the last chunk may be short.
[[nodiscard]] ByteRange bytes_of(ChunkRange chunks, ByteCount length);
/// The smallest chunk range that covers `bytes`.
[[nodiscard]] ChunkRange chunks_covering(ByteRange bytes);

}  // namespace flow29::core
