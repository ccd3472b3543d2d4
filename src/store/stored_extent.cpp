// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/stored_extent.hpp"

#include "core/assert.hpp"
#include "core/layout.hpp"
#include "store/checksum.hpp"
#include "store/file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace flow29::store {
namespace {

constexpr std::uint64_t block_chunks = 1ULL << limits::hash_group_level;
/// Smaller reads are better made with what lies beside them.
constexpr std::uint64_t past_cache_bytes_min = 256 * 1024;
static_assert(block_chunks * limits::chunk_bytes == limits::checksum_block_bytes);

/// Octets of an extent that either are a view of its memory or were read for this.
struct Octets {
    core::Buffer owned;
    ByteView view;
    ByteCount first;  // of the extent

    [[nodiscard]] ByteView part(ByteRange range) const {
        if (range.empty()) return {};
        return view.subspan((range.first - first).value, range.count().value);
    }
};

ChunkRange widened_to_blocks(ChunkRange chunks, ChunkCount all) {
    const std::uint64_t last = (chunks.last.value + block_chunks - 1) / block_chunks * block_chunks;
    return {ChunkIndex(chunks.first.value / block_chunks * block_chunks),
            ChunkIndex(std::min(last, all.value))};
}

/// Requires `bytes` to begin at a block and to end at one or at the extent's end.
Result<void> check_blocks(const StoredExtent& extent, ByteView data, ByteCount first) {
    if (extent.checksums.empty()) return {};
    std::uint64_t block = first.value / limits::checksum_block_bytes;
    while (!data.empty()) {
        const std::size_t size = std::min<std::size_t>(data.size(), limits::checksum_block_bytes);
        if (crc32c(data.first(size)) != extent.checksums[block]) {
            const std::string where = extent.file.empty() ? "catalogue" : extent.file.string();
            return fail(Errc::corrupt_store,
                        fmt::format("{}: changed at block {} of the extent", where, block));
        }
        data = data.subspan(size);
        ++block;
    }
    return {};
}

/// A copy of a store is read by one node and then no more, or by many: so the system is to keep in
/// memory what is read a second time, and all of somebody's own file.
bool is_read_once(const StoredExtent& extent, ByteCount bytes) {
    const std::uint64_t before = extent.read.add(bytes);
    return extent.place == Place::file && bytes.value >= past_cache_bytes_min &&
           before < extent.length.value;
}

Result<Octets> read_blocks(const StoredExtent& extent, ByteRange bytes) {
    Octets octets{{}, {}, bytes.first};
    if (extent.place == Place::inside) {
        octets.view = extent.data.view().subspan(bytes.first.value, bytes.count().value);
    } else {
        auto file = File::open_content(extent.file);
        if (!file) return fail(std::move(file.error()));
        octets.owned = core::Buffer(bytes.count().value);
        const ByteCount at = extent.offset + bytes.first;
        auto read = is_read_once(extent, bytes.count())
                        ? file->read_past_cache(at, octets.owned.span())
                        : file->read_exactly(at, octets.owned.span());
        if (!read) return fail(std::move(read.error()));
        octets.view = octets.owned.view();
    }
    auto checked = check_blocks(extent, octets.view, bytes.first);
    if (!checked) return fail(std::move(checked.error()));
    return octets;
}

}  // namespace

ByteCount StoredExtent::footprint() const {
    // A tree keeps its upper layers, which are as many hashes again.
    return ByteCount(sizeof(StoredExtent) + file.native().size() + data.size() +
                     2 * tree.group_hashes().size_bytes() + checksums.size() * sizeof checksums[0]);
}

Result<ExtentSlice> read_slice(const StoredExtent& extent, ChunkRange chunks) {
    if (chunks.empty() || chunks.last.value > extent.tree.chunks().value) {
        return fail(Errc::refused,
                    fmt::format("chunks [{}, {}) lie outside extent {}", chunks.first.value,
                                chunks.last.value, to_hex(extent.hash)));
    }
    const ByteRange wanted = core::bytes_of(chunks, extent.length);
    const ChunkRange blocks = widened_to_blocks(chunks, extent.tree.chunks());
    auto octets = read_blocks(extent, core::bytes_of(blocks, extent.length));
    if (!octets) return fail(std::move(octets.error()));

    const ChunkRange needed = extent.tree.data_needed(chunks);
    ByteView data_needed;
    if (!needed.empty()) data_needed = octets->part(core::bytes_of(needed, extent.length));
    ExtentSlice slice;
    slice.proof = extent.tree.prove(chunks, data_needed);
    if (octets->owned.size() == wanted.count().value)
        slice.data = std::move(octets->owned);
    else
        slice.data = core::Buffer::copy_of(octets->part(wanted));
    return slice;
}

namespace {

/// Memory that the system has of the extent's file has not been on the disk since, and what is read
/// once must not push out what others read.
void forget_cached(const StoredExtent& extent) {
    if (extent.place == Place::inside) return;
    if (const auto file = File::open_content(extent.file))
        file->forget_cached(extent.offset, extent.length);
}

}  // namespace

Result<void> rehash(const StoredExtent& extent) {
    constexpr std::uint64_t step_bytes = 64 * limits::checksum_block_bytes;
    forget_cached(extent);
    const std::span<const TreeHash> expected = extent.tree.group_hashes();
    std::size_t group = 0;
    for (ByteCount first; first < extent.length; first += ByteCount(step_bytes)) {
        const ByteCount last(std::min(first.value + step_bytes, extent.length.value));
        auto octets = read_blocks(extent, {first, last});
        if (!octets) return fail(std::move(octets.error()));
        const auto tree = core::GroupTree::build(octets->view, limits::hash_group_level);
        for (const TreeHash& hash : tree.group_hashes()) {
            FLOW29_ASSERT(group < expected.size());
            if (hash != expected[group])
                return fail(Errc::corrupt_store,
                            fmt::format("block {} does not match its hash", group));
            ++group;
        }
    }
    forget_cached(extent);
    if (extent.tree.top() != extent.hash)
        return fail(Errc::corrupt_store, "the stored tree does not match the extent");
    return {};
}

}  // namespace flow29::store
