// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <flow29/node.hpp>
#include "node/fetcher.hpp"
#include "node/finder.hpp"
#include "node/services.hpp"

namespace flow29::node {

/// Finds who holds a hash: that of a root, of an extent, or of a chunk.
class Locator {
  public:
    Locator(Services services, PeerBook& peers, Finder& finder, Neighbourhood& neighbourhood,
            Fetcher& fetcher)
        : services_(services),
          peers_(peers),
          finder_(finder),
          neighbourhood_(neighbourhood),
          fetcher_(fetcher) {}

    /// `in` is an object that has the chunk: chunks of larger extents are on no index, and the
    /// object is read until one matches. Errors: usage, no_network, not_found, those of a stream.
    [[nodiscard]] asio::awaitable<Result<Located>> locate(std::string hash, std::optional<Link> in,
                                                          Duration timeout, ProgressFn progress);

  private:
    struct Found {
        std::vector<Holder> holders;
        std::optional<ByteCount> chunk_length;
    };
    [[nodiscard]] asio::awaitable<Found> holders_at(proto::ItemId item);
    [[nodiscard]] asio::awaitable<Result<proto::ItemId>> extent_with_chunk(ChunkHash chunk, Link in,
                                                                           ProgressFn progress);
    [[nodiscard]] asio::awaitable<bool> is_single_chunk(ExtentHash extent, ByteCount length,
                                                        NodeId holder);

    Services services_;
    PeerBook& peers_;               // owned by the engine
    Finder& finder_;                // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
    Fetcher& fetcher_;              // owned by the engine
};

}  // namespace flow29::node
