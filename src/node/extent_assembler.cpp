// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/extent_assembler.hpp"

#include "core/assert.hpp"

namespace flow29::node {

namespace {
constexpr std::uint64_t group_chunks = 1ULL << limits::hash_group_level;
}

Result<void> ExtentAssembler::store(const Piece& piece, ByteView,
                                    const std::vector<ChunkHash>& leaves) {
    FLOW29_ASSERT(piece.chunks.first.value % group_chunks == 0);
    auto groups = core::group_tops(leaves, limits::hash_group_level);
    const std::lock_guard lock(mutex_);
    hashed_[{piece.extent.value, piece.chunks.first.value}] = std::move(groups);
    return {};
}

void ExtentAssembler::deliver(const Piece& piece, core::Buffer& data) {
    const auto length = descriptor_.layout().extent_length(piece.extent);
    const auto chunks = core::chunks_in(length);
    auto& partial = partial_[piece.extent.value];
    if (partial.group_hashes.empty())
        partial.group_hashes.resize((chunks.value + group_chunks - 1) / group_chunks);
    {
        const std::lock_guard lock(mutex_);
        auto node = hashed_.extract({piece.extent.value, piece.chunks.first.value});
        FLOW29_ASSERT(!node.empty());
        std::copy(node.mapped().begin(), node.mapped().end(),
                  partial.group_hashes.begin() +
                      static_cast<std::ptrdiff_t>(piece.chunks.first.value / group_chunks));
    }
    partial.delivered += data.size();
    if (data.size() == length.value) {
        partial.data = std::move(data);
    } else {
        if (partial.data.empty()) partial.data = core::Buffer(length.value);
        const auto at = core::bytes_of(piece.chunks, length).first.value;
        std::memcpy(partial.data.data() + at, data.data(), data.size());
    }
    if (partial.delivered < length.value) return;
    whole_.push_back({piece.extent,
                      {descriptor_.extents[piece.extent.value], std::move(partial.data),
                       std::move(partial.group_hashes)}});
    partial_.erase(piece.extent.value);
    on_whole_();
}

std::vector<ExtentAssembler::Whole> ExtentAssembler::take_whole(ByteCount bytes_max) {
    std::vector<Whole> taken;
    std::uint64_t bytes = 0;
    while (!whole_.empty()) {
        bytes += whole_.front().extent.data.size();
        if (!taken.empty() && bytes > bytes_max.value) break;
        taken.push_back(std::move(whole_.front()));
        whole_.pop_front();
    }
    return taken;
}

}  // namespace flow29::node
