// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include <asio/awaitable.hpp>

#include <flow29/error.hpp>
#include "core/endpoint.hpp"
#include "core/time.hpp"
#include "net/runtime.hpp"
#include "proto/message.hpp"

namespace flow29::net {

/// A reply and the raw octets that came with it.
struct Reply {
    proto::Message message;
    core::Buffer body;
};

/// Traffic and delay of one connection.
struct PeerTraffic {
    std::uint64_t bytes_up = 0;
    std::uint64_t bytes_down = 0;
    Duration rtt{};  ///< smoothed; 0 until measured
};

/// One authenticated connection after both hellos. On the executor's thread only.
class Peer {
  public:
    virtual ~Peer() = default;

    [[nodiscard]] virtual const NodeId& id() const = 0;
    /// What the peer last said of itself, signed by the key that TLS proved.
    [[nodiscard]] virtual const proto::NodeRecord& record() const = 0;
    /// The address at the other end of the connection; its port is the peer's only if we dialled.
    [[nodiscard]] virtual const core::Endpoint& remote() const = 0;
    [[nodiscard]] virtual bool dialled() const = 0;
    [[nodiscard]] virtual bool open() const = 0;
    [[nodiscard]] virtual PeerTraffic traffic() const = 0;
    /// The peer's clock minus ours, at hello.
    [[nodiscard]] virtual std::chrono::milliseconds clock_skew() const = 0;

    /// Sends a request and waits for its answer. Errors: peer_unreachable (the connection ended),
    /// timed_out (nothing came on this connection for `idle_timeout`), peer_busy (too many requests
    /// in flight), or what a Failure answer says. The answer is of the kind that `request` calls
    /// for; any other ends the connection.
    [[nodiscard]] virtual asio::awaitable<Result<Reply>> request(proto::Message request,
                                                                 Duration idle_timeout) = 0;
    /// Sends a message that wants no answer; dropped when the connection has ended.
    virtual void notify(proto::Message message) = 0;
    /// Ends the connection; pending requests fail with peer_unreachable.
    virtual void close(Error reason) = 0;
};
using PeerPtr = std::shared_ptr<Peer>;

/// A request that goes out right behind our hello on a connection that is being made, without
/// waiting for the peer's: one round trip less. The peer answers it after its hello.
class Opening {
  public:
    Opening(Runtime& runtime, proto::Message request, Duration idle_timeout)
        : request_(std::move(request)), idle_timeout_(idle_timeout), answered_(runtime) {}

    [[nodiscard]] const proto::Message& request() const { return request_; }
    [[nodiscard]] Duration idle_timeout() const { return idle_timeout_; }
    /// For the transport: it went out, and is going to be answered.
    void set_sent() { sent_ = true; }
    void answer(Result<Reply> reply) {
        reply_.emplace(std::move(reply));
        answered_.notify_all();
    }
    /// False when the connection was there already, or never came about: ask again.
    [[nodiscard]] bool sent() const { return sent_; }
    /// As Peer::request; once. Requires `sent`.
    [[nodiscard]] asio::awaitable<Result<Reply>> reply() {
        while (!reply_)
            co_await answered_.wait();
        co_return std::move(*reply_);
    }

  private:
    proto::Message request_;
    Duration idle_timeout_;
    Signal answered_;
    std::optional<Result<Reply>> reply_;
    bool sent_ = false;
};
using OpeningPtr = std::shared_ptr<Opening>;

/// What the node does with its connections.
class PeerHandler {
  public:
    virtual ~PeerHandler() = default;

    /// What to say of ourselves in a hello, now.
    [[nodiscard]] virtual proto::NodeRecord local_record() = 0;
    /// A connection is ready, whoever dialled.
    virtual void on_peer(PeerPtr peer) = 0;
    virtual void on_peer_closed(PeerPtr peer, Error reason) = 0;
    /// Answers a request; an error becomes a Failure.
    [[nodiscard]] virtual asio::awaitable<Result<Reply>> on_request(PeerPtr peer,
                                                                    proto::Message request) = 0;
    virtual void on_notification(PeerPtr peer, proto::Message message) = 0;
    /// Where a peer says it sees us.
    virtual void on_observed_address(const PeerPtr& peer, const core::Endpoint& observed) = 0;
};

/// Makes and accepts connections. The TLS one and the simulator implement it.
class Transport {
  public:
    virtual ~Transport() = default;

    /// Begins to accept. Requires `handler` to outlive the transport.
    virtual void start(PeerHandler& handler) = 0;
    /// Dials, proves who is there and exchanges hellos. `expected` pins the NodeId, `position` its
    /// first 20 bytes. Errors: peer_unreachable, timed_out, verification_failed (somebody else
    /// is there: blame the address, not the NodeId), refused (it is this very node). `opening`:
    /// null, or what to ask at once.
    [[nodiscard]] virtual asio::awaitable<Result<PeerPtr>> connect(
        core::Endpoint endpoint, std::optional<NodeId> expected, std::optional<DhtKey> position,
        OpeningPtr opening = nullptr) = 0;
    /// Stops accepting and ends every connection.
    virtual void stop() = 0;
};

}  // namespace flow29::net
