// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/error.hpp>
#include "core/endpoint.hpp"

#include <asio/any_io_executor.hpp>
#include <asio/ip/tcp.hpp>

#include <optional>
#include <vector>

namespace flow29::net {

[[nodiscard]] asio::ip::tcp::endpoint to_asio(const core::Endpoint& endpoint);
[[nodiscard]] core::Endpoint from_asio(const asio::ip::tcp::endpoint& endpoint);

/// Listens on every endpoint. Those with port 0 all get the same port, which the system picks.
/// Errors: usage when a port is taken or an address is not of this machine, saying which.
[[nodiscard]] Result<std::vector<asio::ip::tcp::acceptor>> listen_on(
    const asio::any_io_executor& executor, std::vector<core::Endpoint> endpoints);

/// Whether this machine has IPv6, were it for itself alone.
[[nodiscard]] bool has_ipv6();

/// A socket for dialling `target`, bound to `source` (its port aside) if there is one of that
/// family. Errors: peer_unreachable when the system has no socket to give.
[[nodiscard]] Result<asio::ip::tcp::socket> dialling_socket(
    const asio::any_io_executor& executor, const core::Endpoint& target,
    const std::optional<core::Endpoint>& source);

/// For a connection that carries frames: non-blocking, no delay, and a dead path noticed within
/// limits::tcp_user_timeout. False when the socket is no longer connected.
[[nodiscard]] bool prepare_connected(asio::ip::tcp::socket& socket);

}  // namespace flow29::net
