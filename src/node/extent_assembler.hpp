// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "core/descriptor.hpp"
#include "node/download.hpp"

namespace flow29::node {

/// Puts verified pieces together into whole extents, with the group hashes that their leaves give,
/// so that nothing is hashed twice.
class ExtentAssembler : public PieceSink {
  public:
    /// `on_whole` is called on the executor whenever another extent is whole.
    ExtentAssembler(const core::Descriptor& descriptor, std::function<void()> on_whole)
        : descriptor_(descriptor), on_whole_(std::move(on_whole)) {}

    [[nodiscard]] Result<void> store(const Piece& piece, ByteView data,
                                     const std::vector<ChunkHash>& leaves) override;
    void deliver(const Piece& piece, core::Buffer& data) override;

    struct Whole {
        ExtentIndex index;
        store::NewExtent extent;
    };
    /// The extents that are whole now, of at most so many bytes but at least one; they leave the
    /// assembler.
    [[nodiscard]] std::vector<Whole> take_whole(ByteCount bytes_max);

  private:
    struct Partial {
        core::Buffer data;
        std::vector<TreeHash> group_hashes;
        std::uint64_t delivered = 0;
    };
    using PieceKey = std::pair<std::uint64_t, std::uint64_t>;  // extent, first chunk

    const core::Descriptor& descriptor_;  // owned by the caller
    std::mutex mutex_;
    std::map<PieceKey, std::vector<TreeHash>> hashed_;  // guarded by mutex_
    std::map<std::uint64_t, Partial> partial_;
    std::deque<Whole> whole_;
    std::function<void()> on_whole_;
};

}  // namespace flow29::node
