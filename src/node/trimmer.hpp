// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "node/announcer.hpp"
#include "node/auditor.hpp"
#include "node/caretaker.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/pledge_book.hpp"

namespace flow29::node {

/// Lets go of copies that are more than are wanted, when room is: copies of nodes that came back
/// count again and are not deleted, until somebody needs their place.
///
/// Rules:
/// 1. Only extents, and only those of which others keep as many copies as are wanted
///    (CopyPlanner::are_enough).
/// 2. Each of these has just pledged to keep the extent (proto::PledgeBook), and then proved that
/// it
///    has a chunk drawn at random. Who cannot prove it is treated as in any other audit.
/// 3. The extents with the most copies go first; those published or pinned here never.
class Trimmer {
  public:
    Trimmer(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
            Caretaker& caretaker, Announcer& announcer)
        : services_(services),
          settings_(settings),
          tasks_(tasks),
          peers_(peers),
          caretaker_(caretaker),
          announcer_(announcer),
          done_(services.runtime) {}

    /// Lets go of some of them; false when there was none to let go of.
    [[nodiscard]] asio::awaitable<bool> make_room();
    /// Another holder would rely on the copy here.
    [[nodiscard]] bool pledge(const NodeId& asker, const proto::ItemId& item);

  private:
    [[nodiscard]] std::vector<proto::ItemId> surplus() const;
    [[nodiscard]] asio::awaitable<bool> enough_agree(proto::ItemId item);
    [[nodiscard]] asio::awaitable<bool> agrees(NodeId node, proto::ItemId item);
    [[nodiscard]] asio::awaitable<ByteCount> trim();
    [[nodiscard]] asio::awaitable<ByteCount> let_go(proto::ItemId item);

    Services services_;
    const Settings& settings_;  // owned by the engine
    Tasks& tasks_;              // owned by the engine
    PeerBook& peers_;           // owned by the engine
    Caretaker& caretaker_;      // owned by the engine
    Announcer& announcer_;      // owned by the engine
    net::Signal done_;
    proto::PledgeBook pledges_;
    bool trimming_ = false;
    bool made_room_ = false;  // the last time
    TimePoint next_{};        // before that, looking again is of no use
};

}  // namespace flow29::node
