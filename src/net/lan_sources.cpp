// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/lan_sources.hpp"

#include <algorithm>
#include <map>
#include <span>

#include "core/link_local.hpp"

namespace flow29::net {
namespace {

constexpr std::size_t subnet_octets = 8;  // of a /64

bool is_v4_of_one_link(const core::Endpoint& address) {
    return address.is_v4() && address.address[12] == 169 && address.address[13] == 254;
}

bool is_listened_on(const core::Endpoint& own, const std::vector<core::Endpoint>& listening) {
    return std::ranges::any_of(listening, [&own](const core::Endpoint& at) {
        const core::Endpoint some_port{at.address, 1};
        return at.is_v4() == own.is_v4() &&
               (at.address == own.address || some_port.is_unspecified());
    });
}

}  // namespace

std::vector<InterfaceAddress> lan_sources(const std::vector<InterfaceAddress>& own,
                                          const std::vector<core::Endpoint>& listening) {
    std::vector<InterfaceAddress> sources;
    std::map<unsigned, InterfaceAddress> of_v6;  // one for each interface
    for (const auto& candidate : own) {
        const auto& address = candidate.address;
        if (address.is_loopback() || !is_listened_on(address, listening)) continue;
        if (address.is_v4()) {
            if (is_private(address) && !is_v4_of_one_link(address)) sources.push_back(candidate);
            continue;
        }
        const auto [found, is_first] = of_v6.try_emplace(candidate.interface, candidate);
        if (!is_first && core::is_link_local(found->second.address)) found->second = candidate;
    }
    for (const auto& [interface, source] : of_v6)
        sources.push_back(source);
    return sources;
}

bool is_on_lan(const core::Endpoint& node, const std::vector<InterfaceAddress>& own) {
    if (node.is_loopback()) return false;
    if (is_private(node)) return true;
    if (node.is_v4()) return false;
    return std::ranges::any_of(own, [&node](const InterfaceAddress& one) {
        return std::ranges::equal(std::span(one.address.address).first<subnet_octets>(),
                                  std::span(node.address).first<subnet_octets>());
    });
}

}  // namespace flow29::net
