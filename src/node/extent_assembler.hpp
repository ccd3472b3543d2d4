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

/// Puts verified pieces together into whole extents, with the group hashes that their leaves give
/// and the checksums of their blocks, so that nothing is hashed twice, and nothing read again once
/// it has left the processor's cache.
class ExtentAssembler : public PieceSink {
  public:
    /// `on_whole` is called on the executor whenever another extent is whole.
    ExtentAssembler(const core::Descriptor& descriptor, std::function<void()> on_whole)
        : descriptor_(descriptor), on_whole_(std::move(on_whole)) {}

    [[nodiscard]] Result<void> store(const Piece& piece, ByteView data,
                                     const core::VerifiedRange& hashes) override;
    void deliver(const Piece& piece, core::Buffer& data) override;

    struct Whole {
        ExtentIndex index;
        store::NewExtent extent;
    };
    /// The extents that are whole now, of at most so many bytes but at least one; they leave the
    /// assembler.
    [[nodiscard]] std::vector<Whole> take_whole(ByteCount bytes_max);

  private:
    struct Hashed {
        std::vector<TreeHash> group_hashes;
        std::vector<std::uint32_t> checksums;
    };
    struct Partial {
        std::map<std::uint64_t, core::Buffer> pieces;  // by first chunk
        std::vector<TreeHash> group_hashes;
        std::vector<std::uint32_t> checksums;
        std::uint64_t delivered = 0;
    };
    using PieceKey = std::pair<std::uint64_t, std::uint64_t>;  // extent, first chunk

    [[nodiscard]] static store::NewExtent put_together(const ExtentHash& hash, Partial& partial);

    const core::Descriptor& descriptor_;  // owned by the caller
    std::mutex mutex_;
    std::map<PieceKey, Hashed> hashed_;  // guarded by mutex_
    std::map<std::uint64_t, Partial> partial_;
    std::deque<Whole> whole_;
    std::function<void()> on_whole_;
};

}  // namespace flow29::node
