// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include <flow29/node.hpp>
#include "node/announcer.hpp"
#include "node/caretaker.hpp"
#include "node/keeper.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"

namespace flow29::node {

/// Says how this node itself is: what `status`, `peers` and `ls` print.
class Reporter {
  public:
    Reporter(Services services, const Settings& settings, const PeerBook& peers,
             const Neighbourhood& neighbourhood, const Caretaker& caretaker, const Keeper& keeper,
             const Announcer& announcer)
        : services_(services),
          settings_(settings),
          peers_(peers),
          neighbourhood_(neighbourhood),
          caretaker_(caretaker),
          keeper_(keeper),
          announcer_(announcer),
          started_(services.runtime.now()) {}

    /// How far a peer's clock is from ours, by its hello.
    void note_clock_skew(std::chrono::milliseconds skew);

    /// `own_record` says where this node can be reached.
    [[nodiscard]] asio::awaitable<Status> status(proto::NodeRecord own_record, RateLimits limits);
    /// Those that are connected, then those that are not for what they did.
    [[nodiscard]] std::vector<PeerInfo> peers() const;
    [[nodiscard]] asio::awaitable<std::vector<ObjectEntry>> objects();

  private:
    [[nodiscard]] std::chrono::milliseconds clock_skew() const;
    [[nodiscard]] std::string problem(const dht::IndexStatus& index,
                                      const store::Usage& usage) const;
    /// Why nobody is connected, or will not be for long.
    [[nodiscard]] std::string swarm_problem(const dht::IndexStatus& index) const;
    /// Sets the copies of the worst part that is watched over here, and what is at risk by the
    /// entry's target; neither when none is.
    void count_copies(const store::ObjectInfo& object, ObjectEntry& entry) const;

    Services services_;
    const Settings& settings_;            // owned by the engine
    const PeerBook& peers_;               // owned by the engine
    const Neighbourhood& neighbourhood_;  // owned by the engine
    const Caretaker& caretaker_;          // owned by the engine
    const Keeper& keeper_;                // owned by the engine
    const Announcer& announcer_;          // owned by the engine
    std::vector<std::chrono::milliseconds> clock_skews_;
    TimePoint started_;
};

}  // namespace flow29::node
