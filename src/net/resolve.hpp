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

/// An address of one of this machine's interfaces, with port 0.
struct InterfaceAddress {
    core::Endpoint address;
    unsigned interface = 0;  ///< its number

    auto operator<=>(const InterfaceAddress&) const = default;
};
/// Those of all interfaces that are up, loopback left out.
[[nodiscard]] std::vector<InterfaceAddress> addresses_by_interface();

/// A link-local address of which the link is not known (core/link_local.hpp) as on the only link
/// that this machine has; where it has several, and any other address, unchanged.
[[nodiscard]] core::Endpoint on_sole_link(const core::Endpoint& endpoint);

/// The addresses of this machine's interfaces that others may reach, with port 0: neither loopback
/// nor those of one link only.
[[nodiscard]] std::vector<core::Endpoint> interface_addresses();

}  // namespace flow29::net
