// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/lan_socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/link_local.hpp"

namespace flow29::net {
namespace {

constexpr const char* group4 = "239.255.29.29";
constexpr const char* group6 = "ff12::29:29";
constexpr std::uint16_t group_port = 29290;

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;

    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

Address pack(const sockaddr_in& address) {
    Address packed;
    std::memcpy(&packed.storage, &address, sizeof address);
    packed.size = sizeof address;
    return packed;
}

Address pack(const sockaddr_in6& address) {
    Address packed;
    std::memcpy(&packed.storage, &address, sizeof address);
    packed.size = sizeof address;
    return packed;
}

in_addr group_v4() {
    in_addr group{};
    ::inet_pton(AF_INET, group4, &group);
    return group;
}

in6_addr group_v6() {
    in6_addr group{};
    ::inet_pton(AF_INET6, group6, &group);
    return group;
}

Address address_of(const in_addr& host, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr = host;
    return pack(address);
}

Address address_of(const in6_addr& host, std::uint16_t port, std::uint32_t zone) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = host;
    address.sin6_scope_id = zone;
    return pack(address);
}

/// An own address with a port of the system's choice.
Address address_of(const core::Endpoint& own) {
    const Bytes octets = own.octets();
    if (own.is_v4()) {
        in_addr host{};
        std::memcpy(&host, octets.data(), sizeof host);
        return address_of(host, 0);
    }
    in6_addr host{};
    std::memcpy(&host, octets.data(), sizeof host);
    return address_of(host, 0, core::zone_of(own));
}

template <class Value>
bool set(const core::UniqueFd& socket, int level, int option, const Value& value) {
    return ::setsockopt(socket.get(), level, option, &value, sizeof value) == 0;
}

core::Endpoint endpoint_of(const sockaddr_storage& storage) {
    if (storage.ss_family == AF_INET) {
        sockaddr_in from{};
        std::memcpy(&from, &storage, sizeof from);
        const ByteView octets(reinterpret_cast<const std::uint8_t*>(&from.sin_addr), 4);
        return core::Endpoint::from_octets(octets, ntohs(from.sin_port)).value_or(core::Endpoint{});
    }
    sockaddr_in6 from{};
    std::memcpy(&from, &storage, sizeof from);
    const ByteView octets(reinterpret_cast<const std::uint8_t*>(&from.sin6_addr), 16);
    const auto endpoint = core::Endpoint::from_octets(octets, ntohs(from.sin6_port));
    return core::with_zone(endpoint.value_or(core::Endpoint{}), from.sin6_scope_id);
}

/// Whether an IPv6 datagram was sent to the group, and not to this machine alone.
bool is_for_group(msghdr& message) {
    const auto group = group_v6();
    for (auto* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != IPPROTO_IPV6 || part->cmsg_type != IPV6_PKTINFO) continue;
        in6_pktinfo info{};
        std::memcpy(&info, CMSG_DATA(part), sizeof info);
        return std::memcmp(&info.ipi6_addr, &group, sizeof group) == 0;
    }
    return false;
}

}  // namespace

std::optional<LanSocket> LanSocket::open(bool is_v4) {
    core::UniqueFd socket(
        ::socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int yes = 1, no = 0;
    if (!socket || !set(socket, SOL_SOCKET, SO_REUSEADDR, yes)) return std::nullopt;
    // To bind to a group of one link is to bind to one link: what is for others is sorted out.
    const bool is_ready = is_v4 || (set(socket, IPPROTO_IPV6, IPV6_V6ONLY, yes) &&
                                    set(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, yes));
    // Not what others on this machine have joined elsewhere.
    (void)set(socket, is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
              is_v4 ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL, no);
    const auto local =
        is_v4 ? address_of(group_v4(), group_port) : address_of(in6addr_any, group_port, 0);
    if (!is_ready || ::bind(socket.get(), local.get(), local.size) != 0) return std::nullopt;
    return LanSocket(std::move(socket), is_v4);
}

bool LanSocket::set_member(unsigned interface, bool member) const {
    if (is_v4_) {
        ip_mreqn membership{};
        membership.imr_multiaddr = group_v4();
        membership.imr_ifindex = static_cast<int>(interface);
        return set(socket_, IPPROTO_IP, member ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                   membership);
    }
    ipv6_mreq membership{};
    membership.ipv6mr_multiaddr = group_v6();
    membership.ipv6mr_interface = interface;
    return set(socket_, IPPROTO_IPV6, member ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, membership);
}

void LanSocket::listen_on(const std::vector<InterfaceAddress>& sources) {
    std::set<unsigned> wanted;
    for (const auto& source : sources)
        if (source.address.is_v4() == is_v4_) wanted.insert(source.interface);
    // One that is gone may come back under its number, without the group.
    std::erase_if(joined_, [&](unsigned interface) {
        const bool is_over = !wanted.contains(interface);
        if (is_over) (void)set_member(interface, false);
        return is_over;
    });
    for (const auto interface : wanted)
        if (!joined_.contains(interface) && (set_member(interface, true) || errno == EADDRINUSE))
            joined_.insert(interface);
}

bool LanSocket::send(const InterfaceAddress& source, ByteView datagram) const {
    const core::UniqueFd socket(
        ::socket(is_v4_ ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return false;
    ip_mreqn interface4{};
    interface4.imr_ifindex = static_cast<int>(source.interface);
    const int interface6 = static_cast<int>(source.interface);
    const bool is_chosen = is_v4_ ? set(socket, IPPROTO_IP, IP_MULTICAST_IF, interface4)
                                  : set(socket, IPPROTO_IPV6, IPV6_MULTICAST_IF, interface6);
    const auto local = address_of(source.address);
    if (!is_chosen || ::bind(socket.get(), local.get(), local.size) != 0) return false;
    const auto to = is_v4_ ? address_of(group_v4(), group_port)
                           : address_of(group_v6(), group_port, source.interface);
    return ::sendto(socket.get(), datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                    to.get(), to.size) == static_cast<ssize_t>(datagram.size());
}

std::optional<LanSocket::Heard> LanSocket::receive(std::span<std::uint8_t> buffer) const {
    for (;;) {
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
        const auto got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT);
        if (got < 0) return std::nullopt;
        if (is_v4_ || is_for_group(message))
            return Heard{static_cast<std::size_t>(got), endpoint_of(from)};
    }
}

}  // namespace flow29::net
