// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>
#include <vector>

#include <flow29/error.hpp>
#include "core/endpoint.hpp"

namespace flow29::net {

/// Errc::usage unless it is a literal address or a name, each with a port.
[[nodiscard]] Result<void> check_host_and_port(std::string_view host_and_port);

/// The addresses behind HOST:PORT, of both families, by the system's resolver. Blocks.
/// Errc::usage when malformed, Errc::no_network when the name has no address.
[[nodiscard]] Result<std::vector<core::Endpoint>> resolve(std::string_view host_and_port);

/// Whether it is of a network that others are not in: 10/8, 172.16/12, 192.168/16, 100.64/10 (RFC
/// 1918, 6598), fc00::/7, what is local to a link, and loopback.
[[nodiscard]] bool is_private(const core::Endpoint& endpoint);

/// The addresses of this machine's interfaces that others may reach, with port 0: neither loopback
/// nor those of one link only.
[[nodiscard]] std::vector<core::Endpoint> interface_addresses();

}  // namespace flow29::net
