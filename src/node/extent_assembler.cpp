// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/extent_assembler.hpp"

#include <algorithm>

#include "core/assert.hpp"
#include "store/checksum.hpp"

namespace flow29::node {

namespace {
constexpr std::uint64_t group_chunks = 1ULL << limits::hash_group_level;
}

Result<void> ExtentAssembler::store(const Piece& piece, ByteView data,
                                    const core::VerifiedRange& hashes) {
    FLOW29_ASSERT(!hashes.group_hashes.empty());
    Hashed hashed{hashes.group_hashes, store::block_checksums(data)};
    const std::lock_guard lock(mutex_);
    hashed_[{piece.extent.value, piece.chunks.first.value}] = std::move(hashed);
    return {};
}

void ExtentAssembler::deliver(const Piece& piece, core::Buffer& data) {
    const auto length = descriptor_.layout().extent_length(piece.extent);
    auto& partial = partial_[piece.extent.value];
    if (partial.group_hashes.empty()) {
        partial.group_hashes.resize(store::checksum_blocks(length));
        partial.checksums.resize(store::checksum_blocks(length));
    }
    {
        const std::lock_guard lock(mutex_);
        auto node = hashed_.extract({piece.extent.value, piece.chunks.first.value});
        FLOW29_ASSERT(!node.empty());
        const auto at = static_cast<std::ptrdiff_t>(piece.chunks.first.value / group_chunks);
        std::ranges::copy(node.mapped().group_hashes, partial.group_hashes.begin() + at);
        std::ranges::copy(node.mapped().checksums, partial.checksums.begin() + at);
    }
    partial.delivered += data.size();
    partial.pieces.emplace(piece.chunks.first.value, std::move(data));
    if (partial.delivered < length.value) return;
    whole_.push_back(
        {piece.extent, put_together(descriptor_.extents[piece.extent.value], partial)});
    partial_.erase(piece.extent.value);
    on_whole_();
}

store::NewExtent ExtentAssembler::put_together(const ExtentHash& hash, Partial& partial) {
    store::NewExtent extent{hash, {}, std::move(partial.group_hashes)};
    extent.checksums = std::move(partial.checksums);
    for (auto& [first, data] : partial.pieces) {
        if (extent.data.empty())
            extent.data = std::move(data);
        else
            extent.rest.push_back(std::move(data));
    }
    return extent;
}

std::vector<ExtentAssembler::Whole> ExtentAssembler::take_whole(ByteCount bytes_max) {
    std::vector<Whole> taken;
    std::uint64_t bytes = 0;
    while (!whole_.empty()) {
        bytes += whole_.front().extent.length().value;
        if (!taken.empty() && bytes > bytes_max.value) break;
        taken.push_back(std::move(whole_.front()));
        whole_.pop_front();
    }
    return taken;
}

}  // namespace flow29::node
