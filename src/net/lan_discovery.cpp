// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/lan_discovery.hpp"

#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "net/lan_sources.hpp"

namespace flow29::net {
namespace {

namespace log = core::log;

constexpr std::size_t datagram_bytes = 256;

/// Tells when an interface, or an address of one, comes or goes. Empty where that is not told.
core::UniqueFd open_changes() {
    core::UniqueFd socket(
        ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    const bool bound = socket && ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                                        sizeof address) == 0;
    return bound ? std::move(socket) : core::UniqueFd();
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
    changes_ = open_changes();
    for (const bool is_v4 : {true, false}) {
        const auto is_of_family = [is_v4](const auto& at) { return at.is_v4() == is_v4; };
        if (std::ranges::none_of(options_.listening, is_of_family)) continue;
        if (auto socket = LanSocket::open(is_v4))
            sockets_.push_back(std::move(*socket));
        else
            log::info("lan", "nodes on this LAN are not heard by IPv{}: {}", is_v4 ? 4 : 6,
                      std::strerror(errno));
    }
}

/// Looked for each time: cables are plugged in, and addresses given.
std::vector<InterfaceAddress> LanDiscovery::find_sources() {
    own_ = addresses_by_interface();
    auto sources = lan_sources(own_, options_.listening);
    for (auto& socket : sockets_)
        socket.listen_on(sources);
    return sources;
}

void LanDiscovery::look() {
    const auto sources = find_sources();
    std::erase_if(called_from_, [&sources](const InterfaceAddress& source) {
        return std::ranges::count(sources, source) == 0;
    });
    const auto is_new = [this](const auto& source) { return !called_from_.contains(source); };
    if (std::ranges::any_of(sources, is_new)) schedule_.on_new_source();
}

void LanDiscovery::call() {
    const auto sources = find_sources();
    called_from_.clear();
    core::LanCall said;
    auto& nonce = said.nonce.bytes;
    if (::getrandom(nonce.data(), nonce.size(), 0) != static_cast<ssize_t>(nonce.size())) return;
    said.port = options_.port;
    known_.on_called(said.nonce);
    const auto raw = caller_.encode(said);
    for (const auto& source : sources)
        for (const auto& socket : sockets_)
            if (socket.is_v4() == source.address.is_v4() && socket.send(source, raw))
                called_from_.insert(source);
}

void LanDiscovery::hear(const LanSocket& socket) {
    std::array<std::uint8_t, datagram_bytes> raw{};
    while (const auto heard = socket.receive(raw)) {
        const auto said = caller_.decode(ByteView(raw).first(heard->octets));
        if (!said) continue;
        const core::Endpoint node{heard->from.address, said->port};
        if (!is_on_lan(node, own_) || !known_.on_heard(said->nonce, node)) continue;
        schedule_.on_newcomer();
        log::info("lan", "heard a node at {}", node.to_string());
        heard_(node);
    }
}

void LanDiscovery::forget_changes() const {
    std::array<char, 4096> told{};
    while (::recv(changes_.get(), told.data(), told.size(), MSG_DONTWAIT) > 0)
        continue;
}

/// Until the next deadline, or something comes; false when it is to end.
bool LanDiscovery::wait() {
    std::vector<pollfd> events{{stop_.get(), POLLIN, 0}, {changes_.get(), POLLIN, 0}};
    for (const auto& socket : sockets_)
        events.push_back({socket.fd(), POLLIN, 0});
    const auto left = std::max(schedule_.next_deadline() - core::monotonic_now(), Duration::zero());
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    (void)::poll(events.data(), events.size(), static_cast<int>(ms));
    if (events[0].revents != 0) return false;
    if (events[1].revents != 0) {
        forget_changes();
        schedule_.on_network_changed(core::monotonic_now());
    }
    for (std::size_t i = 0; i < sockets_.size(); ++i)
        if (events[i + 2].revents != 0) hear(sockets_[i]);
    return true;
}

void LanDiscovery::run() {
    open();
    if (sockets_.empty()) return;
    do {
        const auto step = schedule_.poll(core::monotonic_now());
        if (step == LanSchedule::Step::call) call();
        if (step == LanSchedule::Step::look) look();
    } while (wait());
}

}  // namespace flow29::net
