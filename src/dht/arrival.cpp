// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/arrival.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "core/link_local.hpp"

namespace flow29::dht {
namespace {

core::Endpoint endpoint_of(const in_addr& address, std::uint16_t port) {
    const ByteView octets(reinterpret_cast<const std::uint8_t*>(&address), sizeof address);
    return core::Endpoint::from_octets(octets, port).value_or(core::Endpoint{});
}

core::Endpoint endpoint_of(const in6_addr& address, std::uint16_t port) {
    const ByteView octets(reinterpret_cast<const std::uint8_t*>(&address), sizeof address);
    return core::Endpoint::from_octets(octets, port).value_or(core::Endpoint{});
}

core::Endpoint endpoint_of(const sockaddr_storage& storage) {
    if (storage.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &storage, sizeof v4);
        return endpoint_of(v4.sin_addr, ntohs(v4.sin_port));
    }
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof v6);
    return core::with_zone(endpoint_of(v6.sin6_addr, ntohs(v6.sin6_port)), v6.sin6_scope_id);
}

}  // namespace

bool note_arrivals(int socket, bool is_v4) {
    const int on = 1;
    return ::setsockopt(socket, is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
                        is_v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof on) == 0;
}

std::optional<Arrival> receive_arrival(int socket, std::span<std::uint8_t> buffer,
                                       const core::Endpoint& bound) {
    sockaddr_storage from{};
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<char, 256> control{};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(socket, &message, MSG_DONTWAIT);
    if (got < 0) return std::nullopt;
    Arrival arrival{static_cast<std::size_t>(got), endpoint_of(from), bound};
    for (auto* part_of = CMSG_FIRSTHDR(&message); part_of != nullptr;
         part_of = CMSG_NXTHDR(&message, part_of)) {
        if (part_of->cmsg_level == IPPROTO_IP && part_of->cmsg_type == IP_PKTINFO) {
            in_pktinfo info{};
            std::memcpy(&info, CMSG_DATA(part_of), sizeof info);
            arrival.at = endpoint_of(info.ipi_addr, bound.port);
        } else if (part_of->cmsg_level == IPPROTO_IPV6 && part_of->cmsg_type == IPV6_PKTINFO) {
            in6_pktinfo info{};
            std::memcpy(&info, CMSG_DATA(part_of), sizeof info);
            arrival.at = endpoint_of(info.ipi6_addr, bound.port);
        }
    }
    return arrival;
}

}  // namespace flow29::dht
