// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "dht/index.hpp"
#include "net/transport.hpp"
#include "sim/world.hpp"

namespace flow29::sim {

class SimTransport;
class SimIndex;

/// Messages and their bytes, heads and bodies.
struct Sent {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
};
using SentByName = std::map<std::string, Sent, std::less<>>;

/// Who can reach whom, how long messages take, what was sent, and the contents of the index.
class Network {
  public:
    explicit Network(World& world) : world_(world) {}

    [[nodiscard]] World& world() { return world_; }
    /// From now on everybody is this far from everybody else, and a look-up in the index costs what
    /// it costs OpenDHT among a few dozen nodes: `first_hops` round trips until the first records
    /// are there, `all_hops` until its end, and `put_hops` for a put.
    struct Distance {
        Duration round_trip;
        unsigned first_hops = 2;
        unsigned all_hops = 6;
        unsigned put_hops = 8;
    };
    void set_distance(Distance distance) { distance_ = distance; }
    [[nodiscard]] const std::optional<Distance>& distance() const { return distance_; }

    /// One-way delay of a message of this size: 5 to 45 ms fixed for the pair, plus 1 ms per 12.5
    /// kB.
    [[nodiscard]] Duration delay(const core::Endpoint& from, const core::Endpoint& to,
                                 std::size_t bytes) const;

    /// From now on nothing gets from one side to the other, on top of earlier cuts. Connections
    /// between them fall silent and break after the TCP user timeout, each end for itself; who
    /// dials across waits until his connect timeout; the index shows who looks only what his own
    /// part of the swarm has. Nodes in neither side reach both.
    void cut(std::set<core::Endpoint> one_side, std::set<core::Endpoint> other_side);
    /// Undoes all cuts. What was sent over connections that did not break meanwhile arrives now, as
    /// TCP sends it again.
    void heal();
    [[nodiscard]] bool reaches(const core::Endpoint& from, const core::Endpoint& to) const;
    /// Whether a connection can be made.
    [[nodiscard]] bool lets_in(const core::Endpoint& from, const core::Endpoint& to) const {
        return reaches(from, to) && !shut.contains(to);
    }
    /// Runs `arrive` at `when`, or once the two reach each other again.
    void carry(const core::Endpoint& from, const core::Endpoint& to, TimePoint when,
               std::function<void()> arrive);

    void count(const NodeId& from, std::string_view what, std::size_t bytes);
    /// What this node has sent so far, or all nodes together, under this message name.
    [[nodiscard]] Sent sent(const NodeId& from, std::string_view what) const;
    [[nodiscard]] Sent sent(std::string_view what) const;
    /// Everything that this node has sent so far.
    [[nodiscard]] Sent sent(const NodeId& from) const;
    /// Bytes of extents and descriptors that were sent so far, proofs and heads included. Where
    /// nobody fetches and nobody audits this is what publishing and repair cost.
    [[nodiscard]] std::uint64_t data_bytes() const;
    [[nodiscard]] std::uint64_t next_serial() { return ++last_serial_; }

    std::map<core::Endpoint, SimTransport*> transports;     // those that are up
    std::set<core::Endpoint> shut;                          // dial others, and nobody gets in
    std::set<std::pair<core::Endpoint, std::string>> deaf;  // to these requests: no answer comes
    std::map<DhtKey, std::map<NodeId, proto::ProviderRecord>> providers;
    std::map<NodeId, proto::NodeRecord> node_records;
    std::map<DhtKey, core::Endpoint> positions;     // of storing nodes that are up
    std::map<core::Endpoint, std::uint64_t> dials;  // to each address, answered or not
    std::uint64_t puts = 0;
    std::uint64_t lookups = 0;
    std::uint64_t bytes_moved = 0;

  private:
    struct Cut {
        std::set<core::Endpoint> one_side, other_side;
    };
    struct Held {
        core::Endpoint from, to;
        std::function<void()> arrive;
    };

    World& world_;  // owned by the test
    std::optional<Distance> distance_;
    std::vector<Cut> cuts_;
    std::vector<Held> held_;
    std::map<NodeId, SentByName> sent_;
    std::uint64_t last_serial_ = 0;
};

/// One end of a simulated connection.
class SimPeer final : public net::Peer, public std::enable_shared_from_this<SimPeer> {
  public:
    SimPeer(Network& network, SimTransport& owner, NodeId id, proto::NodeRecord record,
            core::Endpoint local, core::Endpoint remote, bool dialled);

    void join(const std::shared_ptr<SimPeer>& other) { other_ = other; }
    /// The connection breaks, seen from here.
    void broke(const Error& reason);
    /// The network was cut or healed: counts the time without an answer from the other end.
    void on_reach_changed();

    /// In the order of their making, the same in every run.
    [[nodiscard]] std::uint64_t serial() const { return serial_; }
    [[nodiscard]] const NodeId& id() const override { return id_; }
    [[nodiscard]] const proto::NodeRecord& record() const override { return record_; }
    [[nodiscard]] const core::Endpoint& remote() const override { return remote_; }
    [[nodiscard]] bool dialled() const override { return dialled_; }
    [[nodiscard]] bool open() const override { return open_; }
    [[nodiscard]] net::PeerTraffic traffic() const override { return traffic_; }
    [[nodiscard]] std::chrono::milliseconds clock_skew() const override { return {}; }
    [[nodiscard]] asio::awaitable<Result<net::Reply>> request(proto::Message request,
                                                              Duration idle_timeout) override;
    void notify(proto::Message message) override;
    void close(Error reason) override;
    /// Asks what went out with the hello that has just arrived at the other end, `receiver`.
    void ask_opening(const net::OpeningPtr& opening, const std::shared_ptr<SimPeer>& receiver);

  private:
    [[nodiscard]] asio::awaitable<void> await_opening(std::shared_ptr<SimPeer> self,
                                                      net::OpeningPtr opening,
                                                      std::shared_ptr<SimPeer> receiver);
    struct Pending {
        explicit Pending(net::Runtime& runtime) : ended(runtime) {}
        net::Signal ended;
        std::optional<Result<net::Reply>> reply;
    };

    void arrive_request(proto::Message request, std::uint64_t number);
    [[nodiscard]] asio::awaitable<void> serve(std::shared_ptr<SimPeer> self, proto::Message request,
                                              std::uint64_t number);
    void arrive_reply(std::uint64_t number, Result<net::Reply> reply);
    void send(std::size_t bytes, std::string_view what,
              std::function<void(const std::shared_ptr<SimPeer>&)> deliver);

    Network& network_;     // owned by the test
    SimTransport& owner_;  // outlives its peers' use: nodes are kept until the world ends
    NodeId id_;
    proto::NodeRecord record_;
    core::Endpoint local_, remote_;
    bool dialled_;
    bool open_ = true;
    std::weak_ptr<SimPeer> other_;
    net::PeerTraffic traffic_;
    std::uint64_t next_number_ = 0;
    std::map<std::uint64_t, std::shared_ptr<Pending>> pending_;
    TimePoint link_free_{};
    std::uint64_t serial_;
    std::optional<TimePoint> silent_since_;
};

class SimTransport final : public net::Transport {
  public:
    SimTransport(Network& network, SimRuntime& runtime, NodeId id, core::Endpoint endpoint)
        : network_(network), runtime_(runtime), id_(id), endpoint_(endpoint) {}

    void start(net::PeerHandler& handler) override;
    [[nodiscard]] asio::awaitable<Result<net::PeerPtr>> connect(
        core::Endpoint endpoint, std::optional<NodeId> expected, std::optional<DhtKey> position,
        net::OpeningPtr opening = nullptr) override;
    void stop() override;

    /// The machine is gone: nothing leaves it any more, and the others notice.
    void crash();
    void on_reach_changed();
    void forget(const std::shared_ptr<SimPeer>& peer) { peers_.erase(peer); }

    [[nodiscard]] net::PeerHandler& handler() { return *handler_; }
    [[nodiscard]] SimRuntime& runtime() { return runtime_; }
    [[nodiscard]] const NodeId& id() const { return id_; }
    [[nodiscard]] bool up() const { return up_; }

  private:
    struct BySerial {
        bool operator()(const std::shared_ptr<SimPeer>& a,
                        const std::shared_ptr<SimPeer>& b) const {
            return a->serial() < b->serial();
        }
    };

    Network& network_;     // owned by the test
    SimRuntime& runtime_;  // owned by the node
    NodeId id_;
    core::Endpoint endpoint_;
    net::PeerHandler* handler_ = nullptr;  // owned by the node
    bool up_ = false;
    std::set<std::shared_ptr<SimPeer>, BySerial> peers_;
};

/// The index as an ideal: every record of a node that can be reached is found, and the nearest
/// nodes are the right ones. What the real one does wrong is tested with the real one.
class SimIndex final : public dht::Index {
  public:
    SimIndex(Network& network, NodeId id, core::Endpoint endpoint, bool storing)
        : network_(network), id_(id), endpoint_(endpoint), storing_(storing) {}

    void go_up();
    void go_down();

    void announce(const proto::ProviderRecord& record, std::function<void(bool)> done) override;
    void announce(const proto::NodeRecord& record, std::function<void(bool)> done) override;
    void find(const DhtKey& key, std::function<void(dht::Lookup)> done, SeenFn seen) override;
    void find_node(const NodeId& node,
                   std::function<void(std::optional<proto::NodeRecord>)> done) override;
    void bootstrap(const std::vector<core::Endpoint>&) override {}
    void hear_of(const std::vector<core::Endpoint>&) override {}
    void neighbours(std::function<void(std::vector<dht::Contact>)> done) override;
    void status(std::function<void(dht::IndexStatus)> done) override;
    void stop() override { go_down(); }

  private:
    [[nodiscard]] dht::Lookup look(const DhtKey& key) const;
    [[nodiscard]] Duration put_time() const;

    Network& network_;  // owned by the test
    NodeId id_;
    core::Endpoint endpoint_;
    bool storing_;
    bool up_ = false;
    std::uint64_t puts_ = 0;
};

}  // namespace flow29::sim
