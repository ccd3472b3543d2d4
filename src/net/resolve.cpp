// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/resolve.hpp"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>

namespace flow29::net {

Result<std::vector<core::Endpoint>> resolve(std::string_view host_and_port) {
    if (auto literal = core::Endpoint::parse(host_and_port)) return std::vector{*literal};
    const auto colon = host_and_port.rfind(':');
    if (colon == std::string_view::npos || colon == 0)
        return fail(Errc::usage, "an address is HOST:PORT, for example seed.example.org:2929");
    const std::string host(host_and_port.substr(0, colon));
    const std::string port(host_and_port.substr(colon + 1));
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0)
        return fail(code == EAI_SERVICE ? Errc::usage : Errc::no_network,
                    host + ": " + ::gai_strerror(code));
    std::vector<core::Endpoint> endpoints;
    for (const auto* entry = found; entry != nullptr; entry = entry->ai_next) {
        ByteView octets;
        std::uint16_t number = 0;
        if (entry->ai_family == AF_INET) {
            const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ai_addr);
            octets = {reinterpret_cast<const std::uint8_t*>(&address->sin_addr), 4};
            number = ntohs(address->sin_port);
        } else if (entry->ai_family == AF_INET6) {
            const auto* address = reinterpret_cast<const sockaddr_in6*>(entry->ai_addr);
            octets = {reinterpret_cast<const std::uint8_t*>(&address->sin6_addr), 16};
            number = ntohs(address->sin6_port);
        } else {
            continue;
        }
        if (auto endpoint = core::Endpoint::from_octets(octets, number))
            if (std::find(endpoints.begin(), endpoints.end(), *endpoint) == endpoints.end())
                endpoints.push_back(*endpoint);
    }
    ::freeaddrinfo(found);
    if (endpoints.empty()) return fail(Errc::no_network, host + " has no address");
    return endpoints;
}

}  // namespace flow29::net
