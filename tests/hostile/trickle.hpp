// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/endpoint.hpp"
#include "net/runtime.hpp"

#include <flow29/error.hpp>

#include <asio/ip/tcp.hpp>

#include <memory>

namespace flow29::hostile {

/// Between a node and the others: what others send it passes at once; of what it sends, on each
/// connection, only the beginning does, which has the handshake, the hellos and a little talk, and
/// the rest an octet a second.
class Trickle {
  public:
    static constexpr std::size_t free_octets = 16 * 1024;

    /// `source`: where to dial from.
    Trickle(net::Runtime& runtime, core::Endpoint source) : runtime_(runtime), source_(source) {}

    /// Takes connections on `at`, with any port, and passes them on to `node`. Gives where.
    [[nodiscard]] Result<core::Endpoint> listen(core::Endpoint at, core::Endpoint node);
    /// Before this, everything passes at once.
    void begin() { slow_ = true; }
    /// Where the node may dial, once, to be connected to `target`.
    [[nodiscard]] Result<core::Endpoint> way_to(core::Endpoint target);

  private:
    enum class Slow { answers, questions };
    using SocketPtr = std::shared_ptr<asio::ip::tcp::socket>;

    [[nodiscard]] asio::awaitable<void> accept(std::shared_ptr<asio::ip::tcp::acceptor> acceptor,
                                               core::Endpoint target, Slow slow);
    [[nodiscard]] asio::awaitable<void> join(SocketPtr from, core::Endpoint target, Slow slow);
    [[nodiscard]] asio::awaitable<void> pass(SocketPtr from, SocketPtr to, bool slow);

    net::Runtime& runtime_;  // owned by the program
    core::Endpoint source_;
    bool slow_ = false;
};

}  // namespace flow29::hostile
