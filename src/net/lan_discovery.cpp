// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/lan_discovery.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/log.hpp"
#include "net/resolve.hpp"

namespace flow29::net {
namespace {

using namespace std::chrono_literals;
namespace log = core::log;

constexpr const char* group = "239.255.29.29";
constexpr std::uint16_t group_port = 29290;
using Clock = std::chrono::steady_clock;

constexpr std::array<Clock::duration, 3> first_pauses{2s, 8s, 20s};
constexpr Clock::duration pause = 60s;
constexpr Clock::duration pause_before_answer = 1s;
constexpr std::size_t datagram_bytes = 256;

in_addr raw_address(const core::Endpoint& endpoint) {
    in_addr address{};
    std::memcpy(&address, endpoint.address.data() + 12, sizeof address);
    return address;
}

sockaddr_in group_address() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(group_port);
    ::inet_pton(AF_INET, group, &address.sin_addr);
    return address;
}

}  // namespace

LanDiscovery::LanDiscovery(core::LanCaller caller, Options options, HeardFn heard)
    : caller_(std::move(caller)),
      options_(std::move(options)),
      heard_(std::move(heard)),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this] { run(); }) {}

LanDiscovery::~LanDiscovery() {
    const std::uint64_t one = 1;
    (void)!::write(stop_.get(), &one, sizeof one);
    thread_.join();
}

void LanDiscovery::open() {
    core::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int yes = 1;
    const auto address = group_address();
    const bool bound =
        socket && ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    if (bound)
        socket_ = std::move(socket);
    else
        log::info("lan", "nodes on this LAN are not heard: {}", std::strerror(errno));
}

bool LanDiscovery::is_used(const core::Endpoint& own) const {
    const auto any = core::Endpoint::parse("0.0.0.0:1")->address;
    return own.is_v4() && is_private(own) &&
           std::ranges::any_of(options_.listening, [&](const core::Endpoint& at) {
               return at.is_v4() && (at.address == own.address || at.address == any);
           });
}

void LanDiscovery::call() {
    core::LanCall said;
    auto& nonce = said.nonce.bytes;
    if (::getrandom(nonce.data(), nonce.size(), 0) != static_cast<ssize_t>(nonce.size())) return;
    said.port = options_.port;
    known_.on_called(said.nonce);
    const auto raw = caller_.encode(said);
    const auto to = group_address();
    // Looked for each time: cables are plugged in, and addresses given.
    for (const auto& own : interface_addresses()) {
        if (!is_used(own)) continue;
        if (!joined_.contains(own)) {
            ip_mreq membership{};
            membership.imr_multiaddr = to.sin_addr;
            membership.imr_interface = raw_address(own);
            if (::setsockopt(socket_.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership,
                             sizeof membership) == 0 ||
                errno == EADDRINUSE)
                joined_.insert(own);
        }
        // Bound to the address, so that who hears it knows where to dial.
        const core::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        const in_addr from = raw_address(own);
        sockaddr_in source{};
        source.sin_family = AF_INET;
        source.sin_addr = from;
        const bool ready =
            socket &&
            ::setsockopt(socket.get(), IPPROTO_IP, IP_MULTICAST_IF, &from, sizeof from) == 0 &&
            ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&source), sizeof source) == 0;
        if (ready)
            (void)::sendto(socket.get(), raw.data(), raw.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                           reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
}

void LanDiscovery::hear() {
    std::array<std::uint8_t, datagram_bytes> raw{};
    sockaddr_in from{};
    for (;;) {
        socklen_t size = sizeof from;
        const auto got = ::recvfrom(socket_.get(), raw.data(), raw.size(), 0,
                                    reinterpret_cast<sockaddr*>(&from), &size);
        if (got < 0) return;
        const auto said = caller_.decode(ByteView(raw).first(static_cast<std::size_t>(got)));
        if (!said) continue;
        const ByteView octets(reinterpret_cast<const std::uint8_t*>(&from.sin_addr), 4);
        const auto node = core::Endpoint::from_octets(octets, said->port);
        if (!node || !is_private(*node) || !known_.on_heard(said->nonce, *node)) continue;
        call_back_ = true;
        log::info("lan", "heard a node at {}", node->to_string());
        heard_(*node);
    }
}

void LanDiscovery::run() {
    open();
    if (!socket_) return;
    call();
    auto last = Clock::now();
    std::size_t calls = 0;
    for (;;) {
        const Clock::duration usual = calls < first_pauses.size() ? first_pauses[calls] : pause;
        const auto due = last + (call_back_ ? pause_before_answer : usual);
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
        pollfd events[] = {{socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
        (void)::poll(events, 2, static_cast<int>(std::max<std::int64_t>(0, left.count())));
        if (events[1].revents != 0) return;
        if (events[0].revents != 0) hear();
        if (Clock::now() < due) continue;
        if (!call_back_) ++calls;
        call_back_ = false;
        call();
        last = Clock::now();
    }
}

}  // namespace flow29::net
