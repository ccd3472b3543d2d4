// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/piece_map.hpp"

#include <algorithm>
#include <bit>

#include <flow29/limits.hpp>
#include "core/assert.hpp"

namespace flow29::proto {
namespace {

ChunkRange clipped(ByteRange want, ByteCount length) {
    const ByteCount last = std::min(want.last, length);
    return core::chunks_covering({std::min(want.first, last), last});
}

/// The chunks that lie wholly within the bytes.
ChunkRange chunks_within(core::RangeSet::Interval bytes, ByteCount length) {
    const std::uint64_t first = core::chunks_in(ByteCount(bytes.first)).value;
    const std::uint64_t last = bytes.last >= length.value ? core::chunks_in(length).value
                                                          : bytes.last / limits::chunk_bytes;
    return {ChunkIndex(first), ChunkIndex(std::max(first, last))};
}

}  // namespace

PieceMap::PieceMap(core::Layout layout, ByteRange want, const core::RangeSet& have,
                   ByteCount piece_bytes)
    : layout_(layout),
      want_(clipped(want, layout.length())),
      cell_chunks_(std::min(std::bit_floor(piece_bytes.value / limits::chunk_bytes),
                            layout.chunks_per_extent().value)),
      open_(layout.extents()) {
    FLOW29_ASSERT(piece_bytes.value >= limits::chunk_bytes);
    FLOW29_ASSERT(piece_bytes.value <= limits::range_bytes_max);
    for (const auto& interval : have.intervals()) {
        const ChunkRange chunks = chunks_within(interval, layout_.length());
        not_unasked_.insert(chunks.first.value, chunks.last.value);
    }
    for (ChunkIndex at = want_.first; at < want_.last;) {
        const auto run = not_unasked_.first_gap(at.value, want_.last.value);
        if (!run) break;
        const ChunkRange chunks{ChunkIndex(run->first), ChunkIndex(run->last)};
        needed_ += bytes_of(chunks).count();
        const ExtentIndex last = layout_.extent_of(ChunkIndex(run->last - 1));
        for (ExtentIndex e = layout_.extent_of(chunks.first); e <= last; e.value += 1)
            open_.insert(e);
        at = chunks.last;
    }
}

std::optional<ChunkRange> PieceMap::first_unasked(const ExtentSet& held, ChunkRange within) const {
    const ChunkIndex first = std::max(within.first, want_.first);
    const ChunkIndex last = std::min(within.last, want_.last);
    if (first >= last) return std::nullopt;
    const ExtentIndex extents_end(layout_.extent_of(ChunkIndex(last.value - 1)).value + 1);
    ExtentIndex from = layout_.extent_of(first);
    // An open extent lacks an unasked chunk in `within` only when it straddles an end of it: at
    // most three rounds.
    while (const auto extent = open_.first_common(held, from, extents_end)) {
        const ChunkRange chunks = layout_.extent_chunks(*extent);
        const auto run = not_unasked_.first_gap(std::max(chunks.first, first).value,
                                                std::min(chunks.last, want_.last).value);
        if (run && run->first < last.value) {
            const std::uint64_t cell_end = cell_start(ChunkIndex(run->first)).value + cell_chunks_;
            return ChunkRange{ChunkIndex(run->first), ChunkIndex(std::min(run->last, cell_end))};
        }
        from = ExtentIndex(extent->value + 1);
    }
    return std::nullopt;
}

bool PieceMap::is_unasked(ChunkRange piece) const {
    return !not_unasked_.contains(piece.first.value);
}

void PieceMap::take(ChunkRange piece) {
    FLOW29_ASSERT(is_unasked(piece));
    not_unasked_.insert(piece.first.value, piece.last.value);
    const ExtentIndex extent = extent_of(piece);
    const ChunkRange chunks = layout_.extent_chunks(extent);
    const ChunkRange wanted{std::max(chunks.first, want_.first), std::min(chunks.last, want_.last)};
    if (not_unasked_.contains(wanted.first.value, wanted.last.value)) open_.erase(extent);
}

void PieceMap::give_back(ChunkRange piece) {
    FLOW29_ASSERT(!is_unasked(piece));
    not_unasked_.erase(piece.first.value, piece.last.value);
    open_.insert(extent_of(piece));
}

void PieceMap::drop_unasked(ExtentIndex extent) {
    const ChunkRange chunks = layout_.extent_chunks(extent);
    const ChunkIndex last = std::min(chunks.last, want_.last);
    for (ChunkIndex at = std::max(chunks.first, want_.first); at < last;) {
        const auto run = not_unasked_.first_gap(at.value, last.value);
        if (!run) break;
        needed_ -= bytes_of({ChunkIndex(run->first), ChunkIndex(run->last)}).count();
        not_unasked_.insert(run->first, run->last);
        at = ChunkIndex(run->last);
    }
    open_.erase(extent);
}

void PieceMap::drop_asked(ChunkRange piece) {
    FLOW29_ASSERT(!is_unasked(piece));
    needed_ -= bytes_of(piece).count();
}

ExtentIndex PieceMap::extent_of(ChunkRange piece) const {
    return layout_.extent_of(piece.first);
}

ByteRange PieceMap::bytes_of(ChunkRange piece) const {
    return core::bytes_of(piece, layout_.length());
}

ByteCount PieceMap::unasked(ChunkRange within) const {
    ByteCount sum;
    const ChunkIndex last = std::min(within.last, want_.last);
    for (ChunkIndex at = std::max(within.first, want_.first); at < last;) {
        const auto run = not_unasked_.first_gap(at.value, last.value);
        if (!run) break;
        sum += bytes_of({ChunkIndex(run->first), ChunkIndex(run->last)}).count();
        at = ChunkIndex(run->last);
    }
    return sum;
}

void PieceMap::check_invariants() const {
    for (ExtentIndex e; e.value < layout_.extents(); e.value += 1) {
        const ChunkRange chunks = layout_.extent_chunks(e);
        const std::uint64_t first = std::max(chunks.first, want_.first).value;
        const std::uint64_t last = std::min(chunks.last, want_.last).value;
        FLOW29_ASSERT(open_.contains(e) == !not_unasked_.contains(first, last));
    }
    FLOW29_ASSERT(unasked() <= needed_);
}

}  // namespace flow29::proto
