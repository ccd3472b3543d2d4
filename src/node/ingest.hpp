// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <stop_token>

#include <flow29/node.hpp>
#include "core/descriptor.hpp"
#include "node/services.hpp"
#include "node/source.hpp"
#include "node/tasks.hpp"

namespace flow29::node {

/// Hashes a source with all processors. `progress` is told on this thread how much is done; it may
/// be empty. Blocks. Errors: file_error, refused (the source changed meanwhile), interrupted.
[[nodiscard]] Result<HashResult> hash_source(const Source& source,
                                             const std::function<void(ByteCount)>& progress,
                                             const std::stop_token& stop);

/// Reads a source once, hashes it on the workers and keeps its extents: as copies in the store, or
/// as references to the file where it lies.
class Ingest {
  public:
    struct Options {
        const Source* source = nullptr;   ///< owned by the caller, who outlives this
        std::filesystem::path reference;  ///< not empty: keep references to this file
        std::optional<unsigned> level;
        std::stop_token stop;
        std::function<bool()> is_paused;  ///< while it says so, nothing more is read; may be empty
        std::function<void(ByteCount done, ByteCount total)> progress;
        /// The next extents are hashed and durable, in order; may be empty.
        std::function<void(const core::Layout& layout, std::span<const ExtentHash> hashes)>
            on_hashed;
    };

    Ingest(Services services, Tasks& tasks, Options options);

    /// The descriptor once everything is hashed and durable.
    /// Errors: file_error, refused (the source changed meanwhile), no_space, usage (too many
    /// extents), interrupted.
    [[nodiscard]] asio::awaitable<Result<core::Descriptor>> run();

  private:
    struct Batch {
        ExtentIndex first;
        std::uint64_t count = 0;
    };

    [[nodiscard]] Result<std::vector<ExtentHash>> take_in(const core::Layout& layout,
                                                          Batch batch) const;
    [[nodiscard]] asio::awaitable<Result<std::vector<ExtentHash>>> run_batch(core::Layout layout,
                                                                             Batch batch);

    [[nodiscard]] asio::awaitable<std::pair<std::uint64_t, Result<std::vector<ExtentHash>>>>
    run_numbered(core::Layout layout, Batch batch);

    Services services_;
    Tasks& tasks_;  // owned by the engine
    Options options_;
    ByteCount done_;
};

}  // namespace flow29::node
