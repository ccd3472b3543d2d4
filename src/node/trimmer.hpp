// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "node/announcer.hpp"
#include "node/auditor.hpp"
#include "node/caretaker.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"

namespace flow29::node {

/// Lets go of copies that are more than are wanted, when room is: copies of nodes that came back
/// count again and are not deleted, until somebody needs their place.
///
/// Rules:
/// 1. Only extents, and only those of which as many copies as are wanted are kept by live nodes
///    that rank before this one (CopyPlanner::enough_without_us).
/// 2. Each of these has just proved that it keeps a chunk drawn at random. Who cannot is treated as
///    in any other audit, and the copy here stays.
/// 3. The extents with the most copies go first; those published or pinned here never.
class Trimmer {
  public:
    Trimmer(Services services, Tasks& tasks, PeerBook& peers, Caretaker& caretaker,
            Announcer& announcer)
        : services_(services),
          tasks_(tasks),
          peers_(peers),
          caretaker_(caretaker),
          announcer_(announcer),
          done_(services.runtime) {}

    /// Lets go of some of them; false when there was none to let go of.
    [[nodiscard]] asio::awaitable<bool> make_room();

  private:
    [[nodiscard]] std::vector<proto::ItemId> surplus() const;
    [[nodiscard]] asio::awaitable<bool> all_prove(proto::ItemId item, std::vector<NodeId> nodes);
    [[nodiscard]] asio::awaitable<ByteCount> trim();
    [[nodiscard]] asio::awaitable<ByteCount> let_go(proto::ItemId item);

    Services services_;
    Tasks& tasks_;          // owned by the engine
    PeerBook& peers_;       // owned by the engine
    Caretaker& caretaker_;  // owned by the engine
    Announcer& announcer_;  // owned by the engine
    net::Signal done_;
    bool trimming_ = false;
    bool made_room_ = false;  // the last time
    TimePoint next_{};        // before that, looking again is of no use
};

}  // namespace flow29::node
