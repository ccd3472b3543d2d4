// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include <asio/io_context.hpp>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "core/endpoint.hpp"
#include "core/identity.hpp"
#include "core/line.hpp"
#include "core/swarm_key.hpp"
#include "dht/datagram_guard.hpp"

namespace flow29::dht {

/// What passed the sockets of one index. Payload octets, without IP and UDP headers.
struct TrafficCounters {
    std::uint64_t packets_up = 0;
    std::uint64_t packets_down = 0;
    std::uint64_t bytes_up = 0;
    std::uint64_t bytes_down = 0;
    std::uint64_t datagrams_dropped = 0;
    std::uint64_t datagrams_foreign = 0;  ///< of whoever has not the swarm's key
};

/// A UDP socket of one address family that delivers only what the datagram guard and the proofs of
/// ids let through, and proves its own, or flags what it sends as a client's. OpenDHT's own socket
/// waits with select() and aborts the process past 1,024 descriptors; this one waits with epoll.
///
/// Lives on the io_context's one thread.
class AsioSocket {
  public:
    struct Options {
        core::Endpoint bind;  ///< port 0: any free one
        std::uint32_t network = 0;
        /// Whose position is proved in what is sent; outlives the socket. Null: the client flag is
        /// added instead.
        const core::Identity* identity = nullptr;
        /// What datagrams are charged to, payload only; it outlives the socket. Null: to nothing.
        core::Line* line = nullptr;
        /// Of a private swarm: everything is sealed, and what is not is dropped unseen.
        std::optional<core::SwarmKey> swarm_key{};
    };
    /// One datagram, valid during the call; the receiver may alter it.
    using Receive = std::function<void(std::span<std::uint8_t> datagram,
                                       const GuardedDatagram& facts, const core::Endpoint& from)>;

    /// Binds. The system's error, with the address in its context, when that is taken or not ours.
    [[nodiscard]] static Result<std::unique_ptr<AsioSocket>> open(asio::io_context& io,
                                                                  const Options& options,
                                                                  TrafficCounters& counters);
    ~AsioSocket();

    /// Calls `receive` for every accepted datagram and `drained` after each run of them.
    void start(Receive receive, std::function<void()> drained);
    /// Sends at once; what the line has no credit for is lost, as on a full line. 0, or the errno
    /// value of what went wrong.
    int send(ByteView datagram, const core::Endpoint& to);
    [[nodiscard]] core::Endpoint local_endpoint() const;
    /// Nothing is received or sent any more.
    void close();

  private:
    struct State;
    explicit AsioSocket(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;  // shared with its own pending wait
};

}  // namespace flow29::dht
