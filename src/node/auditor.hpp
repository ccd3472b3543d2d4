// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "node/caretaker.hpp"
#include "node/services.hpp"
#include "proto/audit_planner.hpp"

namespace flow29::node {

/// Has holders prove what they say they keep: a copy counts only if it answers. Which and when is
/// decided by proto::AuditPlanner.
class Auditor {
  public:
    using Outcome = proto::AuditPlanner::Outcome;

    Auditor(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
            const proto::NodeTable& table, Caretaker& caretaker);

    /// Audits until the tasks stop.
    [[nodiscard]] asio::awaitable<void> run();
    /// Makes `run` look again now, for instance because the tasks stop.
    void wake() { changed_.notify_all(); }

    /// Has a peer prove one item of this object: the descriptor whole, or one chunk of an extent,
    /// picked by `random`.
    [[nodiscard]] static asio::awaitable<Outcome> probe(net::PeerPtr peer,
                                                        const core::Descriptor& descriptor,
                                                        proto::ItemId item, std::uint64_t random);

    [[nodiscard]] const proto::AuditPlanner::Counts& counts() const { return planner_.counts(); }

  private:
    [[nodiscard]] asio::awaitable<void> audit(proto::AuditPlanner::Probe probe);

    Services services_;
    Tasks& tasks_;          // owned by the engine
    PeerBook& peers_;       // owned by the engine
    Caretaker& caretaker_;  // owned by the engine
    proto::AuditPlanner planner_;
    net::Signal changed_;
};

}  // namespace flow29::node
