// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>

#include "node/announcer.hpp"
#include "node/caretaker.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"

namespace flow29::node {

/// Carries out what leases say: what none keeps any more is collected, and who was away when one
/// was withdrawn is told.
class LeaseWatch {
  public:
    /// Publications under way: their extents are in no object yet, so nothing is collected then.
    using Publishing = std::function<std::size_t()>;

    LeaseWatch(Services services, Tasks& tasks, PeerBook& peers, Caretaker& caretaker,
               Announcer& announcer, Publishing publishing)
        : services_(services),
          tasks_(tasks),
          peers_(peers),
          caretaker_(caretaker),
          announcer_(announcer),
          publishing_(std::move(publishing)) {}

    /// A lease is new here, or withdrawn.
    void on_lease(const proto::Lease& lease);
    /// A node appeared: it must not bring back what was withdrawn while it was away.
    void on_node_alive(const NodeId& node);
    /// Frees what no lease, pin or publication keeps.
    [[nodiscard]] asio::awaitable<void> collect();

  private:
    [[nodiscard]] asio::awaitable<void> tell_withdrawals(NodeId node);

    Services services_;
    Tasks& tasks_;          // owned by the engine
    PeerBook& peers_;       // owned by the engine
    Caretaker& caretaker_;  // owned by the engine
    Announcer& announcer_;  // owned by the engine
    Publishing publishing_;
};

}  // namespace flow29::node
