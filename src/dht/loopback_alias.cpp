// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/loopback_alias.hpp"

#include <array>
#include <cstddef>

namespace flow29::dht {
namespace {

using Prefix = std::array<std::uint8_t, 2>;
constexpr Prefix loopback{127, 0};
constexpr Prefix alias{198, 18};
constexpr std::size_t contact_bytes = 26;
constexpr std::size_t contact_address_at = 20;

void swap_prefix(std::uint8_t* octets, const Prefix& from, const Prefix& to) {
    if (octets[0] != from[0] || octets[1] != from[1]) return;
    octets[0] = to[0];
    octets[1] = to[1];
}

core::Endpoint swap_prefix(core::Endpoint endpoint, const Prefix& from, const Prefix& to) {
    if (endpoint.is_v4()) swap_prefix(endpoint.address.data() + 12, from, to);
    return endpoint;
}

void swap_prefixes(std::span<std::uint8_t> contacts, const Prefix& from, const Prefix& to) {
    for (std::size_t at = 0; at + contact_bytes <= contacts.size(); at += contact_bytes)
        swap_prefix(contacts.data() + at + contact_address_at, from, to);
}

}  // namespace

core::Endpoint alias_of_loopback(core::Endpoint endpoint) {
    return swap_prefix(endpoint, loopback, alias);
}
core::Endpoint loopback_of_alias(core::Endpoint endpoint) {
    return swap_prefix(endpoint, alias, loopback);
}
void alias_contacts(std::span<std::uint8_t> contacts4) {
    swap_prefixes(contacts4, loopback, alias);
}
void reveal_contacts(std::span<std::uint8_t> contacts4) {
    swap_prefixes(contacts4, alias, loopback);
}

}  // namespace flow29::dht
