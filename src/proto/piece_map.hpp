// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include <flow29/ids.hpp>
#include "core/layout.hpp"
#include "core/range_set.hpp"
#include "proto/extent_set.hpp"

namespace flow29::proto {

/// The pieces of a download, computed rather than stored, and which of them are still unasked.
///
/// A grid of cells of equally many chunks (a power of two) lies over the object, so that no cell
/// crosses an extent or, unless extents are that small, a group of the stored tree. A piece is a
/// maximal run of needed chunks within one cell; the partition never changes.
///
///     extent  |               0               |               1           |
///     cell    |   0   |   1   |   2   |   3   |   4   |   5   |   6   | 7 |
///     needed      ####|#######|#          ####|  ## ##|                ###|
///     piece       0    1       2          3      4  5                  6
///
/// Memory is proportional to the number of runs that are alternately unasked and not, never to the
/// number of pieces.
class PieceMap {
  public:
    /// Needs the chunks that cover `want`, apart from those wholly in `have` (bytes of the object).
    /// Cells are of `piece_bytes`, rounded down to a power of two, or of one extent if that is
    /// less. Requires 512 <= piece_bytes <= limits::range_bytes_max.
    PieceMap(core::Layout layout, ByteRange want, const core::RangeSet& have,
             ByteCount piece_bytes);

    [[nodiscard]] const core::Layout& layout() const { return layout_; }
    /// The chunks that cover `want`.
    [[nodiscard]] ChunkRange want() const { return want_; }
    /// The bytes of all pieces.
    [[nodiscard]] ByteCount needed() const { return needed_; }
    /// The size of a full cell.
    [[nodiscard]] ByteCount cell_bytes() const {
        return ByteCount(cell_chunks_ * limits::chunk_bytes);
    }
    /// The first chunk of the cell that holds `chunk`.
    [[nodiscard]] ChunkIndex cell_start(ChunkIndex chunk) const {
        return ChunkIndex(chunk.value / cell_chunks_ * cell_chunks_);
    }

    /// The first unasked piece that begins within `within` and lies in one of `held`.
    /// Requires within.first to be the start of a cell. O(extents / 64 + log runs).
    [[nodiscard]] std::optional<ChunkRange> first_unasked(const ExtentSet& held,
                                                          ChunkRange within) const;
    [[nodiscard]] bool is_unasked(ChunkRange piece) const;
    /// From unasked to asked, and back.
    void take(ChunkRange piece);
    void give_back(ChunkRange piece);
    /// No longer needed: what of an extent is unasked, or a piece that was asked.
    void drop_unasked(ExtentIndex extent);
    void drop_asked(ChunkRange piece);

    [[nodiscard]] ExtentIndex extent_of(ChunkRange piece) const;
    [[nodiscard]] ByteRange bytes_of(ChunkRange piece) const;
    /// Extents with an unasked piece.
    [[nodiscard]] const ExtentSet& open() const { return open_; }
    /// The bytes of all unasked pieces, or of those within a range. O(runs).
    [[nodiscard]] ByteCount unasked() const { return unasked(want_); }
    [[nodiscard]] ByteCount unasked(ChunkRange within) const;

    void check_invariants() const;

  private:
    core::Layout layout_;
    ChunkRange want_;
    std::uint64_t cell_chunks_;
    core::RangeSet not_unasked_;  // chunks asked, verified, or not needed
    ExtentSet open_;
    ByteCount needed_;
};

}  // namespace flow29::proto
