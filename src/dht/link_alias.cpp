// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/link_alias.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "core/link_local.hpp"

namespace flow29::dht {
namespace {

constexpr std::array<std::uint8_t, 4> link_local{0xfe, 0x80, 0, 0};
constexpr std::array<std::uint8_t, 4> alias{0xfd, 0xf1, 0xa5, 0x29};
constexpr std::size_t zone_at = 4;  // as in core::with_zone
constexpr std::size_t zone_bytes = 4;
constexpr std::size_t contact_bytes = 38;
constexpr std::size_t contact_address_at = 20;
constexpr std::size_t contact_port_at = 36;

bool begins_with(std::span<const std::uint8_t> address, const std::array<std::uint8_t, 4>& prefix) {
    return std::ranges::equal(address.first(prefix.size()), prefix);
}

template <class Do>
void for_each_contact(std::span<std::uint8_t> contacts, Do change) {
    for (; contacts.size() >= contact_bytes; contacts = contacts.subspan(contact_bytes))
        change(contacts.first(contact_bytes));
}

}  // namespace

core::Endpoint alias_of_link_local(core::Endpoint endpoint) {
    if (begins_with(endpoint.address, link_local) && core::zone_of(endpoint) != 0)
        std::ranges::copy(alias, endpoint.address.begin());
    return endpoint;
}

core::Endpoint link_local_of_alias(core::Endpoint endpoint) {
    if (begins_with(endpoint.address, alias))
        std::ranges::copy(link_local, endpoint.address.begin());
    return endpoint;
}

void alias_link_contacts(std::span<std::uint8_t> contacts6, const core::Endpoint& from) {
    const auto shown = alias_of_link_local(from);
    const bool is_neighbour = shown != from;
    for_each_contact(contacts6, [&](std::span<std::uint8_t> contact) {
        const auto address = contact.subspan(contact_address_at);
        if (begins_with(address, alias))
            std::ranges::fill(contact.subspan(contact_port_at), std::uint8_t{0});
        else if (is_neighbour && begins_with(address, link_local))
            std::ranges::copy(std::span(shown.address).first<zone_at + zone_bytes>(),
                              address.begin());
    });
}

void reveal_link_contacts(std::span<std::uint8_t> contacts6) {
    for_each_contact(contacts6, [](std::span<std::uint8_t> contact) {
        const auto address = contact.subspan(contact_address_at);
        if (!begins_with(address, alias)) return;
        std::ranges::copy(link_local, address.begin());
        std::ranges::fill(address.subspan(zone_at, zone_bytes), std::uint8_t{0});
    });
}

}  // namespace flow29::dht
