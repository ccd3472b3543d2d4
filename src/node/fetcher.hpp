// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/node.hpp>
#include "node/announcer.hpp"
#include "node/download.hpp"
#include "node/finder.hpp"
#include "node/partial_file.hpp"
#include "node/services.hpp"
#include "node/transfers.hpp"

namespace flow29::node {

/// Fetches objects: into a file, or in order into a consumer.
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

  private:
    [[nodiscard]] asio::awaitable<Result<FoundObject>> find(Link link, Duration timeout,
                                                            std::stop_token stop,
                                                            ProgressFn progress);
    [[nodiscard]] asio::awaitable<void> add_holders(std::shared_ptr<Download> download,
                                                    std::vector<net::PeerPtr> known);
    [[nodiscard]] asio::awaitable<void> find_more(std::weak_ptr<Download> weak,
                                                  std::vector<ExtentIndex> starved);
    [[nodiscard]] std::shared_ptr<Download> make_download(const FoundObject& found, ByteRange want,
                                                          const core::RangeSet& have,
                                                          PieceSink& sink,
                                                          Download::Options options);
    /// The extent that the guesses are about.
    std::optional<ExtentIndex> guess_holders(Download& download, const FoundObject& found);
    [[nodiscard]] asio::awaitable<void> note_progress(std::shared_ptr<PartialFile> file,
                                                      std::shared_ptr<bool> ended);
    [[nodiscard]] asio::awaitable<void> share(std::shared_ptr<PartialFile> file, RootHash root,
                                              core::Descriptor descriptor, std::string name);
    [[nodiscard]] static Result<ByteRange> clip(std::optional<ByteRange> range, ByteCount length);

    Services services_;
    const Settings& settings_;      // owned by the engine
    Tasks& tasks_;                  // owned by the engine
    PeerBook& peers_;               // owned by the engine
    Finder& finder_;                // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
    Announcer& announcer_;          // owned by the engine
    proto::PullBudget& budget_;     // owned by the engine
    Transfers& transfers_;          // owned by the engine
};

}  // namespace flow29::node
