// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

#include "core/endpoint.hpp"

/// IPv6 addresses that mean something on one link only, fe80::/10.
///
/// The same address may be in use on each of a machine's links. So an Endpoint of that kind says
/// which link is meant, by the number of this machine's interface to it (RFC 4007: its zone), in
/// octets 4 to 7, which are zero in such an address (RFC 4291 §2.5.6):
///
///     fe80 | 0 | zone (4) | interface identifier (8)
///
/// Zone 0 is that of an address of which the link is not known. The number means nothing to other
/// machines: Endpoint::octets leaves it out, and from_octets takes none.
namespace flow29::core {

[[nodiscard]] bool is_link_local(const Endpoint& endpoint);
/// 0 when it is not known, and of any other address.
[[nodiscard]] std::uint32_t zone_of(const Endpoint& endpoint);
/// The same address on that link; an address of any other kind unchanged.
[[nodiscard]] Endpoint with_zone(Endpoint endpoint, std::uint32_t zone);
/// An address as `namer` means it, a peer that this machine reaches there: what a neighbour on a
/// link says of addresses without a link is of that link.
[[nodiscard]] Endpoint as_named_by(const Endpoint& namer, const Endpoint& named);

}  // namespace flow29::core
