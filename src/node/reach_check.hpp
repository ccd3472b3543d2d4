// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <vector>

#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/reach_verdict.hpp"

namespace flow29::node {

/// Learns whether others can dial this node, by asking a few of those that it dialled to dial back.
///
/// Rules:
/// - As long as peers at public addresses are there, they alone say. Rationale: one on the same LAN
///   gets in where nobody else does.
/// - Where there are peers of both address families, some of each are asked, and a yes of either is
///   enough. Rationale: a gateway translates IPv4 and leaves IPv6 as it is, or lets in nothing of
///   it; whoever has both families gets here by the one that is open.
class ReachCheck {
  public:
    struct Events {
        /// Under which others dial this node by IPv4, or by IPv6; 0: it has no such address.
        std::function<std::uint16_t(bool by_v4)> port;
        std::function<void()> changed;  ///< or not: called after each round as well
    };

    ReachCheck(Services services, Tasks& tasks, const PeerBook& peers, Events events);

    /// What the node acts upon: a change is told first.
    [[nodiscard]] Reach reach() const { return told_; }
    /// Whether others are to count on this node; a change is told as well.
    [[nodiscard]] bool counts() const { return counts_; }
    /// Asks again and again, until the tasks stop.
    [[nodiscard]] asio::awaitable<void> run();
    /// This node dialled a peer, which can be asked.
    void on_judge();
    /// A peer dialled this node.
    void on_dialled_by(const core::Endpoint& peer);
    /// Others may have to dial another address than before.
    void on_new_address();
    /// Ends the wait that `run` is in.
    void wake() { news_.notify_all(); }

  private:
    [[nodiscard]] Reach judged() const;
    [[nodiscard]] bool knows_public_peer() const;
    [[nodiscard]] std::vector<net::PeerPtr> judges() const;
    [[nodiscard]] asio::awaitable<proto::ReachVerdict::Round> ask(std::vector<net::PeerPtr> judges);
    void save();
    void tell();

    Services services_;
    Tasks& tasks_;           // owned by the engine
    const PeerBook& peers_;  // owned by the engine
    Events events_;
    net::Signal news_;
    proto::ReachVerdict verdict_;
    Reach told_ = Reach::unknown;
    bool counts_;
};

}  // namespace flow29::node
