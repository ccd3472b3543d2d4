// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include <flow29/node.hpp>
#include "node/announcer.hpp"
#include "node/blocked.hpp"
#include "node/caretaker.hpp"
#include "node/lease_watch.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"

namespace flow29::node {

/// Has what the operator blocks take effect: no contact with a node, no copy of an object.
class Blocker {
  public:
    /// Changes `settings.blocked_roots`, which the other parts look at.
    Blocker(Services services, Settings& settings, const proto::NodeTable& table, PeerBook& peers,
            Caretaker& caretaker, Announcer& announcer, LeaseWatch& leases)
        : services_(services),
          settings_(settings),
          table_(table),
          peers_(peers),
          caretaker_(caretaker),
          announcer_(announcer),
          leases_(leases) {}

    /// What was blocked before a restart. Once, before anybody is met.
    void load();
    [[nodiscard]] Blocklist list() const { return blocked_.list(); }
    /// The list as it is then. What is here of an object that becomes blocked is freed, and those
    /// who count on it are told.
    /// Errors: usage (no name, or this very node), not_found (to be unblocked, and is not blocked),
    /// refused (the list is full, or being changed), those of the store.
    [[nodiscard]] asio::awaitable<Result<Blocklist>> set(std::string name, bool blocked);

  private:
    [[nodiscard]] asio::awaitable<Result<Blocked::Target>> target_of(std::string name,
                                                                     bool blocked) const;
    [[nodiscard]] asio::awaitable<void> let_go(RootHash root);

    Services services_;
    Settings& settings_;             // owned by the engine
    const proto::NodeTable& table_;  // owned by the engine
    PeerBook& peers_;                // owned by the engine
    Caretaker& caretaker_;           // owned by the engine
    Announcer& announcer_;           // owned by the engine
    LeaseWatch& leases_;             // owned by the engine
    Blocked blocked_;
    bool saving_ = false;  // a changed list
};

}  // namespace flow29::node
