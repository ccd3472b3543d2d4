// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>

#include "core/endpoint.hpp"

/// Link-local addresses as OpenDHT is shown them.
///
/// OpenDHT has nothing to do with fe80::/10, which says nothing without the link, and a contact on
/// the wire has no room for that. So it is shown fe80::i on the link of interface z as
/// fdf1:a529:z::i, of a prefix of our own (RFC 4193), and that is turned back in what leaves. The
/// wire carries true addresses; whose are without a link is told by whom they came from.
namespace flow29::dht {

/// fe80::i on a link that is known as its alias; any other unchanged.
[[nodiscard]] core::Endpoint alias_of_link_local(core::Endpoint endpoint);
/// The alias as fe80::i; any other unchanged.
[[nodiscard]] core::Endpoint link_local_of_alias(core::Endpoint endpoint);

/// Packed IPv6 contacts that came from `from` (38 octets each: id, address, port), in place. What a
/// neighbour on a link names of that kind is on the same link; from anybody else it stays as it is,
/// so that OpenDHT leaves it out. An address that looks like an alias loses its port, likewise.
void alias_link_contacts(std::span<std::uint8_t> contacts6, const core::Endpoint& from);
/// Packed IPv6 contacts that leave, in place.
void reveal_link_contacts(std::span<std::uint8_t> contacts6);

}  // namespace flow29::dht
