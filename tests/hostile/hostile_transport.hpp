// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/identity.hpp"
#include "hostile/behaviour.hpp"
#include "hostile/raw_connection.hpp"
#include "hostile/trickle.hpp"
#include "net/transport.hpp"

#include <set>

namespace flow29::hostile {

/// Stands between an honest engine and its transport and turns what goes out into an attack. The
/// handshake, the node's identity and its part in the DHT are real.
class HostileTransport final : public net::Transport, public net::PeerHandler {
  public:
    struct Options {
        Behaviour behaviour = Behaviour::wrong_byte;
        core::Endpoint address;      ///< where others reach this node
        Trickle* trickle = nullptr;  ///< of one_byte_a_second; outlives this
    };

    HostileTransport(net::Runtime& runtime, const core::Identity& identity, net::Transport& inner,
                     Options options);

    /// From now on it is hostile; before, it does what an honest node does.
    void begin();

    // net::Transport
    void start(net::PeerHandler& handler) override;
    [[nodiscard]] asio::awaitable<Result<net::PeerPtr>> connect(core::Endpoint endpoint,
                                                                std::optional<NodeId> expected,
                                                                std::optional<DhtKey> position,
                                                                net::OpeningPtr opening) override;
    void stop() override { inner_.stop(); }

    // net::PeerHandler
    [[nodiscard]] proto::NodeRecord local_record() override;
    void on_peer(net::PeerPtr peer) override;
    void on_peer_closed(net::PeerPtr peer, Error reason) override;
    [[nodiscard]] asio::awaitable<Result<net::Reply>> on_request(net::PeerPtr peer,
                                                                 proto::Message request) override;
    void on_notification(net::PeerPtr peer, proto::Message message) override;
    void on_observed_address(const net::PeerPtr& peer, const core::Endpoint& observed) override;

  private:
    using Reply = Result<net::Reply>;

    [[nodiscard]] asio::awaitable<Reply> false_range(net::PeerPtr peer, proto::GetRange request);
    [[nodiscard]] asio::awaitable<Reply> other_range(net::PeerPtr peer, proto::GetRange request);
    void note_ranges(const proto::Invite& invite);
    [[nodiscard]] Reply empty_promise(const net::PeerPtr& peer, const proto::Message& request);
    [[nodiscard]] std::vector<proto::NodeRecord> invented() const;
    void add_lies(proto::Message& reply);

    [[nodiscard]] asio::awaitable<void> flood_requests(net::PeerPtr peer);
    [[nodiscard]] asio::awaitable<void> ask_on(net::PeerPtr peer);
    [[nodiscard]] asio::awaitable<void> flood_connections(core::Endpoint target);
    [[nodiscard]] asio::awaitable<void> throw_bombs(core::Endpoint target);
    [[nodiscard]] asio::awaitable<void> overask(core::Endpoint target);
    [[nodiscard]] asio::awaitable<void> ask_and_not_read(core::Endpoint target,
                                                         const core::Identity& as);
    /// `record`: of the identity that `raw` proves.
    [[nodiscard]] asio::awaitable<void> send_raw(RawConnections& raw, proto::NodeRecord record,
                                                 core::Endpoint target, Bytes octets,
                                                 RawConnections::Manner manner);
    [[nodiscard]] proto::Message random_question();
    void turn_on(const net::PeerPtr& peer);
    void attack(const core::Endpoint& target);

    net::Runtime& runtime_;  // these three are owned by the program
    const core::Identity& identity_;
    net::Transport& inner_;
    Options options_;
    RawConnections raw_;
    net::PeerHandler* handler_ = nullptr;  // the engine
    net::Signal never_;
    bool begun_ = false;
    std::set<net::PeerPtr> peers_;
    std::set<core::Endpoint> met_;
    std::set<core::Endpoint> attacked_;
    std::vector<proto::GetRange> known_ranges_;  // of extents that it was invited to keep
    std::vector<core::Identity> nobodies_;       // of nodes that do not exist; fixed
};

}  // namespace flow29::hostile
