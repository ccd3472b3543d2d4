// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "node/neighbourhood.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/copy_planner.hpp"

namespace flow29::node {

/// Sends what a copy planner decided: its invitations, grouped into one message per node and
/// object, each naming everybody who could be pulled from. Publishing and repair both go through
/// here.
class Inviter {
  public:
    /// The lease under which an object is to be held; nothing when there is none any more.
    using LeaseOf = std::function<std::optional<proto::Lease>(const RootHash& root)>;
    /// Called after answers have changed the planner.
    using Answered = std::function<void()>;

    /// Whether somebody waits for the copies, they replace what was lost, or what is published is
    /// still being hashed.
    enum class Purpose : std::uint8_t { publication, repair, part };

    Inviter(Services services, Tasks& tasks, PeerBook& peers, proto::NodeTable& table,
            Purpose purpose)
        : services_(services), tasks_(tasks), peers_(peers), table_(table), purpose_(purpose) {}

    /// Takes all invitations that the planner has now and sends them. `own_record` goes along as a
    /// source. The planner and callbacks must live as long as the tasks run, or `guard` be reset.
    void send_due(proto::CopyPlanner& planner, const proto::NodeRecord& own_record,
                  const LeaseOf& lease_of, std::weak_ptr<void> guard, Answered answered);

    /// Tells those whose invitation the planner has withdrawn.
    void call_off(proto::CopyPlanner& planner);
    /// Nodes that answered that the publisher, or this node's group, has its share there already.
    [[nodiscard]] std::size_t over_quota() const { return over_quota_.size(); }
    /// Nodes that were sent an invitation, whatever came of it.
    [[nodiscard]] const std::set<NodeId>& asked() const { return asked_; }

  private:
    [[nodiscard]] asio::awaitable<void> send(net::PeerPtr peer, proto::Invite invite,
                                             proto::CopyPlanner* planner, std::weak_ptr<void> guard,
                                             Answered answered);

    Services services_;
    Tasks& tasks_;             // owned by the engine
    PeerBook& peers_;          // owned by the engine
    proto::NodeTable& table_;  // owned by the engine
    Purpose purpose_;
    std::set<NodeId> over_quota_;
    std::set<NodeId> asked_;
};

}  // namespace flow29::node
