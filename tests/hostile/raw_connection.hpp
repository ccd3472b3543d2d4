// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/identity.hpp"
#include "net/runtime.hpp"
#include "net/tls_stream.hpp"
#include "proto/message.hpp"

#include <memory>

namespace flow29::hostile {

/// Dials nodes and, after a true handshake and hello, sends them octets that no node of ours sends.
class RawConnections {
  public:
    RawConnections(net::Runtime& runtime, const core::Identity& identity, core::Endpoint source);

    struct Manner {
        Duration patience{};
        bool reads = true;  ///< what comes back, to forget it
    };

    /// Connects, says hello, sends `octets`, and waits until the other end hangs up or the patience
    /// is over. False when it did not come to the sending.
    [[nodiscard]] asio::awaitable<bool> send(core::Endpoint target, proto::Hello hello,
                                             Bytes octets, Manner manner);
    /// Connects, says nothing, and hangs up after `patience`.
    [[nodiscard]] asio::awaitable<void> stay_silent(core::Endpoint target, Duration patience);

  private:
    [[nodiscard]] asio::awaitable<Result<asio::ip::tcp::socket>> dial(core::Endpoint target);

    net::Runtime& runtime_;  // owned by the program
    std::shared_ptr<const net::TlsCredentials> credentials_;
    core::Endpoint source_;
};

/// A frame whose head is these octets, whatever they are.
[[nodiscard]] Bytes frame_of(ByteView head, std::uint32_t body = 0);
/// Heads that ask a careless reader for memory or for its stack, each in another way.
[[nodiscard]] std::vector<Bytes> bombs();

}  // namespace flow29::hostile
