// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/line.hpp"
#include "core/swarm_key.hpp"
#include "net/runtime.hpp"
#include "net/transport.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace flow29::net {

/// Connections over TCP and TLS 1.3: both ends prove Ed25519 keys, then exchange hellos.
///
/// Between the same two nodes there may be several connections; who of them stays is not decided
/// here. At limits::peers_max connections no more are taken or made, and of one address group no
/// more than proto::ArrivalRules says. At limits::handshakes_max handshakes that others began, a
/// newcomer displaces the oldest of the address group that has most. Rationale: an honest handshake
/// takes milliseconds, so those that last are the ones to lose; and who floods from one network
/// displaces his own.
///
/// On the executor's thread only. The runtime outlives it; its peers are dropped before the
/// runtime.
class TlsTransport final : public Transport {
  public:
    struct Options {
        /// Where to listen; with port 0 all get one port that the system picks.
        std::vector<core::Endpoint> listen;
        /// Dial from the first listening address of the family, unless that is "any".
        bool bind_source = false;
        /// What all connections share with whatever else uses it; it outlives the transport and its
        /// peers. Null: no limits.
        core::Line* line = nullptr;
        /// Of a private swarm: others are not answered. See SwarmGate.
        std::optional<core::SwarmKey> swarm_key{};
    };

    /// Listens, but does not accept before `start`.
    /// Errors: other (a port is in use), usage (an address is not of this machine).
    [[nodiscard]] static Result<std::unique_ptr<TlsTransport>> create(
        Runtime& runtime, const core::Identity& identity, Options options);
    ~TlsTransport() override;

    /// With the ports that were picked.
    [[nodiscard]] const std::vector<core::Endpoint>& listening() const;

    void start(PeerHandler& handler) override;
    [[nodiscard]] asio::awaitable<Result<PeerPtr>> connect(core::Endpoint endpoint,
                                                           std::optional<NodeId> expected,
                                                           std::optional<DhtKey> position,
                                                           OpeningPtr opening = nullptr) override;
    void stop() override;

  private:
    class State;
    explicit TlsTransport(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

}  // namespace flow29::net
