// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>

#include "core/endpoint.hpp"

/// Loopback addresses as OpenDHT is shown them.
///
/// OpenDHT takes a loopback address in a neighbour's answer to mean "the neighbour's own machine"
/// and puts the neighbour's address in its place, so a swarm on 127.0.0.1, 127.0.0.2… falls apart.
/// A node bound to loopback therefore shows 127.0.b.c to OpenDHT as 198.18.b.c (RFC 2544, never
/// routed) and turns it back in what leaves. The wire carries true addresses.
namespace flow29::dht {

/// 127.0.b.c as 198.18.b.c; any other unchanged.
[[nodiscard]] core::Endpoint alias_of_loopback(core::Endpoint endpoint);
/// 198.18.b.c as 127.0.b.c; any other unchanged.
[[nodiscard]] core::Endpoint loopback_of_alias(core::Endpoint endpoint);

/// Likewise for packed IPv4 contacts (26 octets each: id, address, port), in place.
void alias_contacts(std::span<std::uint8_t> contacts4);
void reveal_contacts(std::span<std::uint8_t> contacts4);

}  // namespace flow29::dht
