// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/resolve.hpp"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "core/link_local.hpp"

namespace flow29::net {
namespace {

/// Nothing for a family that is neither.
std::optional<core::Endpoint> endpoint_of(const sockaddr* address) {
    if (address == nullptr) return std::nullopt;
    ByteView octets;
    std::uint16_t port = 0;
    std::uint32_t zone = 0;
    if (address->sa_family == AF_INET) {
        const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
        octets = {reinterpret_cast<const std::uint8_t*>(&v4->sin_addr), 4};
        port = ntohs(v4->sin_port);
    } else if (address->sa_family == AF_INET6) {
        const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
        octets = {reinterpret_cast<const std::uint8_t*>(&v6->sin6_addr), 16};
        port = ntohs(v6->sin6_port);
        zone = v6->sin6_scope_id;
    }
    const auto endpoint = core::Endpoint::from_octets(octets, port);
    return endpoint ? std::optional(core::with_zone(*endpoint, zone)) : std::nullopt;
}

}  // namespace

Result<void> check_host_and_port(std::string_view host_and_port) {
    const auto colon = host_and_port.rfind(':');
    const auto digits = host_and_port.substr(colon == std::string_view::npos ? 0 : colon + 1);
    std::uint16_t port = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    const bool is_port = error == std::errc{} && stop == digits.data() + digits.size() && port != 0;
    if (colon == std::string_view::npos || colon == 0 || !is_port)
        return fail(Errc::usage, "an address is HOST:PORT, for example seed.example.org:2929");
    const auto host = host_and_port.substr(0, colon);
    const bool bracketed = host.front() == '[';
    if (bracketed ? host.back() != ']' : host.find(':') != std::string_view::npos)
        return fail(Errc::usage,
                    "an IPv6 address stands in brackets before its port: [2001:db8::1]:2929");
    return {};
}

Result<std::vector<core::Endpoint>> resolve(std::string_view host_and_port) {
    if (auto literal = core::Endpoint::parse(host_and_port)) return std::vector{*literal};
    if (const auto checked = check_host_and_port(host_and_port); !checked)
        return fail(checked.error());
    const auto colon = host_and_port.rfind(':');
    const std::string host(host_and_port.substr(0, colon));
    const std::string port(host_and_port.substr(colon + 1));
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0)
        return fail(Errc::no_network, host + ": " + ::gai_strerror(code));
    std::vector<core::Endpoint> endpoints;
    for (const auto* entry = found; entry != nullptr; entry = entry->ai_next) {
        const auto endpoint = endpoint_of(entry->ai_addr);
        if (endpoint && std::ranges::count(endpoints, *endpoint) == 0)
            endpoints.push_back(*endpoint);
    }
    ::freeaddrinfo(found);
    if (endpoints.empty()) return fail(Errc::no_network, host + " has no address");
    return endpoints;
}

bool is_private(const core::Endpoint& endpoint) {
    if (endpoint.is_loopback()) return true;
    const auto* const octets = endpoint.address.data();
    if (!endpoint.is_v4())
        return (octets[0] & 0xfe) == 0xfc || (octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80);
    const auto first = octets[12];
    const auto second = octets[13];
    return first == 10 || (first == 172 && (second & 0xf0) == 16) ||
           (first == 192 && second == 168) || (first == 100 && (second & 0xc0) == 64) ||
           (first == 169 && second == 254);
}

std::vector<InterfaceAddress> addresses_by_interface() {
    std::vector<InterfaceAddress> addresses;
    ifaddrs* interfaces = nullptr;
    if (::getifaddrs(&interfaces) != 0) return addresses;
    for (const auto* entry = interfaces; entry != nullptr; entry = entry->ifa_next) {
        if ((entry->ifa_flags & IFF_UP) == 0) continue;
        const auto endpoint = endpoint_of(entry->ifa_addr);
        if (endpoint && !endpoint->is_loopback())
            addresses.push_back({*endpoint, ::if_nametoindex(entry->ifa_name)});
    }
    ::freeifaddrs(interfaces);
    return addresses;
}

core::Endpoint on_sole_link(const core::Endpoint& endpoint) {
    if (!core::is_link_local(endpoint) || core::zone_of(endpoint) != 0) return endpoint;
    std::uint32_t sole = 0;
    for (const auto& own : addresses_by_interface()) {
        const auto zone = core::zone_of(own.address);
        if (zone == 0 || zone == sole) continue;
        if (sole != 0) return endpoint;
        sole = zone;
    }
    return core::with_zone(endpoint, sole);
}

std::vector<core::Endpoint> interface_addresses() {
    std::vector<core::Endpoint> endpoints;
    for (const auto& [endpoint, interface] : addresses_by_interface()) {
        const bool one_link = endpoint.is_v4()
                                  ? endpoint.address[12] == 169 && endpoint.address[13] == 254
                                  : endpoint.address[0] == 0xfe;
        if (!one_link && std::ranges::count(endpoints, endpoint) == 0)
            endpoints.push_back(endpoint);
    }
    return endpoints;
}

}  // namespace flow29::net
