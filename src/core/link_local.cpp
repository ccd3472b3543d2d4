// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/link_local.hpp"

namespace flow29::core {
namespace {

constexpr std::size_t zone_at = 4;

}  // namespace

bool is_link_local(const Endpoint& endpoint) {
    return endpoint.address[0] == 0xfe && (endpoint.address[1] & 0xc0U) == 0x80;
}

std::uint32_t zone_of(const Endpoint& endpoint) {
    if (!is_link_local(endpoint)) return 0;
    std::uint32_t zone = 0;
    for (std::size_t i = 0; i < sizeof zone; ++i)
        zone = zone << 8 | endpoint.address[zone_at + i];
    return zone;
}

Endpoint with_zone(Endpoint endpoint, std::uint32_t zone) {
    if (!is_link_local(endpoint)) return endpoint;
    for (std::size_t i = 0; i < sizeof zone; ++i)
        endpoint.address[zone_at + i] = static_cast<std::uint8_t>(zone >> (24 - 8 * i));
    return endpoint;
}

Endpoint as_named_by(const Endpoint& namer, const Endpoint& named) {
    return zone_of(named) != 0 ? named : with_zone(named, zone_of(namer));
}

}  // namespace flow29::core
