// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/layout.hpp"

#include "core/assert.hpp"

#include <algorithm>
#include <bit>

namespace flow29::core {

unsigned default_extent_level(ByteCount length) {
    constexpr std::uint64_t extents_wanted = 256;
    const std::uint64_t chunks = chunks_in(length).value;
    if (chunks == 0) return limits::extent_level_auto_min;
    // The smallest level at which extents_wanted extents cover the chunks:
    // ceil(log2(chunks / 256)) without rounding errors, since bit_width(n - 1) is ceil(log2(n)).
    const std::uint64_t least = (chunks - 1) / extents_wanted + 1;
    const auto level = static_cast<unsigned>(std::bit_width(least - 1));
    return std::clamp(level, limits::extent_level_auto_min, limits::extent_level_max);
}

Layout::Layout(ByteCount length, unsigned level) : length_(length), level_(level) {
    FLOW29_ASSERT(level <= limits::extent_level_max);
}

std::uint64_t Layout::extents() const {
    const std::uint64_t per_extent = chunks_per_extent().value;
    const std::uint64_t count = chunks().value;
    return count / per_extent + (count % per_extent != 0 ? 1 : 0);
}

ByteRange Layout::extent_bytes(ExtentIndex index) const {
    return bytes_of(extent_chunks(index), length_);
}

ChunkRange Layout::extent_chunks(ExtentIndex index) const {
    FLOW29_ASSERT(index.value < extents());
    const std::uint64_t first = index.value << level_;
    const std::uint64_t size = std::min(chunks_per_extent().value, chunks().value - first);
    return {ChunkIndex(first), ChunkIndex(first + size)};
}

ByteCount Layout::extent_length(ExtentIndex index) const {
    return extent_bytes(index).count();
}

ExtentIndex Layout::extent_of(ByteCount offset) const {
    FLOW29_ASSERT(offset < length_);
    return extent_of(ChunkIndex(offset.value / limits::chunk_bytes));
}

ExtentIndex Layout::extent_of(ChunkIndex chunk) const {
    FLOW29_ASSERT(chunk.value < chunks().value);
    return ExtentIndex(chunk.value >> level_);
}

ByteRange bytes_of(ChunkRange chunks, ByteCount length) {
    FLOW29_ASSERT(chunks.first <= chunks.last);
    FLOW29_ASSERT(chunks.last.value <= chunks_in(length).value);
    // Two divisions instead of a product that could overflow for the last chunk of 2^64 - 1 bytes.
    const auto edge = [&](ChunkIndex chunk) {
        const bool inside = chunk.value <= length.value / limits::chunk_bytes;
        return inside ? ByteCount(chunk.value * limits::chunk_bytes) : length;
    };
    return {edge(chunks.first), edge(chunks.last)};
}

ChunkRange chunks_covering(ByteRange bytes) {
    FLOW29_ASSERT(bytes.first <= bytes.last);
    const ChunkIndex first(bytes.first.value / limits::chunk_bytes);
    if (bytes.empty()) return {first, first};
    return {first, ChunkIndex(chunks_in(bytes.last).value)};
}

}  // namespace flow29::core
