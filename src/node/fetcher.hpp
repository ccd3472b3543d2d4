// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/node.hpp>
#include "node/announcer.hpp"
#include "node/download.hpp"
#include "node/finder.hpp"
#include "node/manifest_cache.hpp"
#include "node/partial_file.hpp"
#include "node/services.hpp"
#include "node/transfers.hpp"

namespace flow29::node {

/// Fetches objects and what is inside directories: into a file or a directory, or in order into a
/// consumer.
class Fetcher {
  public:
    Fetcher(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
            Finder& finder, Neighbourhood& neighbourhood, Announcer& announcer,
            proto::PullBudget& budget, Transfers& transfers)
        : services_(services),
          settings_(settings),
          tasks_(tasks),
          peers_(peers),
          finder_(finder),
          neighbourhood_(neighbourhood),
          announcer_(announcer),
          budget_(budget),
          transfers_(transfers) {}

    [[nodiscard]] asio::awaitable<Result<FetchResult>> fetch(FetchRequest request,
                                                             ProgressFn progress);
    [[nodiscard]] asio::awaitable<Result<FetchResult>> stream(StreamRequest request, HeadFn head,
                                                              SinkFn sink, ProgressFn progress);
    [[nodiscard]] asio::awaitable<Result<Listing>> list(ListRequest request, ProgressFn progress);

  private:
    /// What a link names.
    struct Target {
        ObjectKind kind = ObjectKind::file;
        ByteRange bytes;  ///< of the object, when it is a file
        bool executable = false;
        std::optional<FileTime> modified{};
        std::shared_ptr<const core::Manifest> manifest;  ///< of a directory object
    };
    /// How long to wait for it, and who may end that.
    struct Patience {
        Duration idle_timeout;
        std::stop_token stop;
    };

    [[nodiscard]] asio::awaitable<Result<FoundObject>> find(Link link, Duration timeout,
                                                            std::stop_token stop,
                                                            ProgressFn progress);
    /// Those whom these nodes' holder tables name; for a small download only if it needs them.
    [[nodiscard]] asio::awaitable<void> add_holders(std::shared_ptr<Download> download,
                                                    std::vector<net::PeerPtr> known);
    [[nodiscard]] asio::awaitable<void> find_more(std::weak_ptr<Download> weak,
                                                  std::vector<ExtentIndex> starved);
    [[nodiscard]] std::shared_ptr<Download> make_download(const FoundObject& found, ByteRange want,
                                                          const core::RangeSet& have,
                                                          PieceSink& sink,
                                                          Download::Options options);
    /// The extents that the guesses are about.
    std::vector<ExtentIndex> guess_holders(Download& download, const FoundObject& found);
    [[nodiscard]] asio::awaitable<void> note_progress(std::weak_ptr<PartialOutput> weak,
                                                      std::shared_ptr<bool> ended);
    /// Into `output`, which is then in its final place.
    [[nodiscard]] asio::awaitable<Result<std::shared_ptr<Download>>> fill(
        FoundObject found, ByteRange want, std::shared_ptr<PartialOutput> output, Patience patience,
        ProgressFn progress, std::shared_ptr<Transfer> transfer);
    [[nodiscard]] asio::awaitable<Result<FetchResult>> fetch_file(
        FetchRequest request, FoundObject found, Target target, ProgressFn progress,
        std::shared_ptr<Transfer> transfer);
    [[nodiscard]] asio::awaitable<Result<FetchResult>> fetch_directory(
        FetchRequest request, FoundObject found, Target target, ProgressFn progress,
        std::shared_ptr<Transfer> transfer);
    /// Errors: not_found when there is no such path; as manifest.
    [[nodiscard]] asio::awaitable<Result<Target>> resolve(FoundObject found, std::string path,
                                                          Patience patience);
    /// Of a directory: only the object's first bytes are fetched. Errors: refused when it is
    /// malformed, and what a download ends with.
    [[nodiscard]] asio::awaitable<Result<std::shared_ptr<const core::Manifest>>> manifest(
        FoundObject found, Patience patience);
    /// A few bytes, in memory.
    [[nodiscard]] asio::awaitable<Result<Bytes>> read(FoundObject found, ByteRange range,
                                                      Patience patience);
    [[nodiscard]] FetchResult result_of(const FetchRequest& request, const Download& download,
                                        TimePoint started) const;
    /// Has others served from the finished file or, if the request says so, from a copy of it; says
    /// in the result which.
    [[nodiscard]] asio::awaitable<FetchResult> share(std::shared_ptr<PartialFile> file,
                                                     core::Descriptor descriptor, std::string name,
                                                     bool keep_copy, FetchResult result);
    /// A range of a file that lies at `within`, as a range of the object.
    [[nodiscard]] static Result<ByteRange> clip(std::optional<ByteRange> range, ByteRange within);

    Services services_;
    const Settings& settings_;      // owned by the engine
    Tasks& tasks_;                  // owned by the engine
    PeerBook& peers_;               // owned by the engine
    Finder& finder_;                // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
    Announcer& announcer_;          // owned by the engine
    proto::PullBudget& budget_;     // owned by the engine
    Transfers& transfers_;          // owned by the engine
    ManifestCache manifests_;
};

}  // namespace flow29::node
