// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/dial_rules.hpp"
#include "proto/node_table.hpp"
#include "proto/peer_conduct.hpp"

namespace flow29::node {

/// A record, and who handed it over.
struct Named {
    proto::NodeRecord record;
    /// The address of the peer that handed it over; nothing: this node knows it by itself.
    std::optional<core::Endpoint> by = std::nullopt;
};

/// The open connections, and how to get one to a node. Feeds the node table: a node is alive while
/// a connection to it is open.
class PeerBook {
  public:
    /// Called when a node becomes alive, goes missing, or says goodbye.
    using NodeChanged = std::function<void(const NodeId& node)>;

    PeerBook(Services services, Tasks& tasks, proto::NodeTable& table, NodeChanged node_changed);

    void on_peer(const net::PeerPtr& peer);
    void on_peer_closed(const net::PeerPtr& peer, const Error& reason);
    void on_goodbye(const net::PeerPtr& peer);
    /// Its record is another now.
    void on_record(const net::PeerPtr& peer);
    /// Over every open connection.
    void tell_all(const proto::Message& message) const;

    /// This node itself, as a peer: what `find` gives for its own id. Not among `open`.
    void set_local(net::PeerPtr local) { local_ = std::move(local); }
    [[nodiscard]] const net::PeerPtr& local() const { return local_; }

    /// An open connection to the node, if there is one.
    [[nodiscard]] net::PeerPtr find(const NodeId& node) const;
    [[nodiscard]] std::vector<net::PeerPtr> open() const;

    /// An open connection to the node of this record, dialling its addresses if need be, each
    /// `head_start` after the one before unless that has failed: those that whoever handed it over
    /// may name (proto::DialRules).
    [[nodiscard]] asio::awaitable<Result<net::PeerPtr>> reach(Named named);
    /// Likewise for an address, whoever lives there; `position` pins the start of the NodeId.
    /// Attempts to one address run once, those to another address of the same node wait for their
    /// turn as above, and a failed address rests for a while. A second connection that this makes
    /// to a node, not knowing who would be there, is closed. `opening` is asked if a connection is
    /// made for this call; else it stays unsent.
    [[nodiscard]] asio::awaitable<Result<net::PeerPtr>> dial(core::Endpoint endpoint,
                                                             std::optional<NodeId> expected,
                                                             std::optional<DhtKey> position,
                                                             net::OpeningPtr opening = nullptr);

    /// How long one address of a node is tried alone before another is tried as well. As RFC 8305
    /// has it, but for three round trips instead of one: until it is known who answers.
    static constexpr Duration head_start = std::chrono::milliseconds(500);

    /// Nothing came of dialling that when it was last tried, or in `patience` until now: nobody
    /// should wait for it.
    [[nodiscard]] bool is_doubtful(const core::Endpoint& endpoint, Duration patience) const;

    /// Whether the peer can be dialled where it is, at this port; the connection is not kept.
    /// Nothing: the address rests (proto::DialRules).
    [[nodiscard]] asio::awaitable<std::optional<bool>> dial_back(net::PeerPtr asker,
                                                                 std::uint16_t port);

    /// It lied: its connections are closed and it is not talked to again in this run.
    void ban(const NodeId& node, std::string_view why);
    [[nodiscard]] bool is_banned(const NodeId& node) const { return conduct_.is_banned(node); }
    /// It delivered what was asked of it, or it did not: for its score.
    void note_outcome(const NodeId& node, bool delivered) { conduct_.on_outcome(node, delivered); }
    [[nodiscard]] const proto::PeerConduct& conduct() const { return conduct_; }
    /// The operator wants nothing to do with it: gone at once, until unblocked.
    void block(const NodeId& node);
    void unblock(const NodeId& node) { blocked_.erase(node); }

    /// Dials missing nodes again, until the tasks stop.
    [[nodiscard]] asio::awaitable<void> keep_contact();

    /// Bytes per second that came from the node, smoothed over some seconds.
    [[nodiscard]] double rate(const NodeId& node) const;
    /// Bytes moved over all connections since the start, closed ones included.
    [[nodiscard]] net::PeerTraffic traffic() const;

  private:
    struct Attempt {
        Attempt(net::Runtime& runtime, const std::optional<DhtKey>& sought)
            : whom(sought), began(runtime.now()), ended(runtime) {}
        std::optional<DhtKey> whom;  // the position of who is expected there
        TimePoint began;
        net::Signal ended;
        std::optional<Result<net::PeerPtr>> outcome;
    };
    struct Rate {
        std::uint64_t bytes = 0;
        double per_second = 0;
    };

    /// An open connection that dialling this would only make a second of.
    [[nodiscard]] net::PeerPtr find_at(const core::Endpoint& endpoint,
                                       const std::optional<NodeId>& expected,
                                       const std::optional<DhtKey>& position) const;
    struct Race;  // for a connection to one node
    [[nodiscard]] asio::awaitable<void> run_in(std::shared_ptr<Race> race,
                                               proto::DialRules::Target target, NodeId node);
    /// The latest attempt at another address of the node.
    [[nodiscard]] std::shared_ptr<Attempt> attempt_at(const DhtKey& position) const;
    /// Another connection to the node, which this one dialled as well, just before.
    [[nodiscard]] net::PeerPtr dialled_before(const net::PeerPtr& peer) const;
    [[nodiscard]] asio::awaitable<void> redial(NodeId node);
    [[nodiscard]] asio::awaitable<void> try_again(proto::NodeRecord record);
    [[nodiscard]] bool is_shunned(const NodeId& node) const {
        return is_banned(node) || blocked_.contains(node);
    }
    void note_misconduct(const net::PeerPtr& peer, const Error& reason);
    [[nodiscard]] bool note_end(const net::PeerPtr& peer, const Error& reason);
    void note_rates();
    [[nodiscard]] asio::awaitable<Result<net::PeerPtr>> dial_target(proto::DialRules::Target target,
                                                                    std::optional<NodeId> expected,
                                                                    net::OpeningPtr opening);
    void note_failure(const proto::DialRules::Target& target, const Error& error);

    Services services_;
    Tasks& tasks_;             // owned by the engine
    proto::NodeTable& table_;  // owned by the engine
    NodeChanged node_changed_;
    net::PeerPtr local_;
    std::map<NodeId, std::vector<net::PeerPtr>> open_;
    std::unordered_map<net::PeerPtr, TimePoint> since_;  // when each of these was made
    std::unordered_map<core::Endpoint, std::shared_ptr<Attempt>> attempts_;
    proto::DialRules rules_;
    proto::PeerConduct conduct_{limits::conduct_nodes_max};
    std::set<NodeId> blocked_;
    std::unordered_map<NodeId, Rate> rates_;
    std::set<NodeId> trying_;
    net::PeerTraffic closed_traffic_;
};

}  // namespace flow29::node
