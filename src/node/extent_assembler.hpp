// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

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
    explicit ExtentAssembler(const core::Descriptor& descriptor) : descriptor_(descriptor) {}

    [[nodiscard]] Result<void> store(const Piece& piece, ByteView data,
                                     const std::vector<ChunkHash>& leaves) override;
    void deliver(const Piece& piece, core::Buffer& data) override;

    /// The extents that are whole now; they leave the assembler.
    [[nodiscard]] std::vector<store::NewExtent> take_whole();

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
    std::vector<store::NewExtent> whole_;
};

}  // namespace flow29::node
