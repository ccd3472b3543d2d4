// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/sockets.hpp"

#include <flow29/limits.hpp>
#include "core/link_local.hpp"

#include <fmt/format.h>
#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/v6_only.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace flow29::net {
namespace {

using asio::ip::tcp;

// A port that the system picked for one address may be taken on the next.
constexpr int port_attempts_max = 16;

bool any_address(const core::Endpoint& endpoint) {
    return to_asio(endpoint).address().is_unspecified();
}

Result<tcp::acceptor> open_acceptor(const asio::any_io_executor& executor,
                                    const core::Endpoint& endpoint, std::error_code& ec) {
    const tcp::endpoint local = to_asio(endpoint);
    tcp::acceptor acceptor(executor);
    acceptor.open(local.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    // So that [::] and 0.0.0.0 can be listened on side by side.
    if (!ec && local.protocol() == tcp::v6()) acceptor.set_option(asio::ip::v6_only(true), ec);
    if (!ec) acceptor.bind(local, ec);
    if (!ec) acceptor.listen(tcp::acceptor::max_listen_connections, ec);
    if (!ec) return acceptor;
    if (ec == asio::error::address_in_use)
        return fail(Errc::other,
                    fmt::format("port {} is in use at {}; --port names another, 0 any that is free",
                                endpoint.port, endpoint.host()));
    if (ec.value() == EADDRNOTAVAIL)
        return fail(Errc::usage,
                    fmt::format("{} is not an address of this machine", endpoint.host()));
    return fail(Errc::usage,
                fmt::format("cannot listen on {}: {}", endpoint.to_string(), ec.message()));
}

Result<std::vector<tcp::acceptor>> open_all(const asio::any_io_executor& executor,
                                            std::vector<core::Endpoint> endpoints,
                                            std::error_code& ec) {
    std::vector<tcp::acceptor> acceptors;
    std::uint16_t picked = 0;
    for (core::Endpoint& endpoint : endpoints) {
        if (endpoint.port == 0) endpoint.port = picked;
        auto acceptor = open_acceptor(executor, endpoint, ec);
        if (!acceptor) return fail(std::move(acceptor.error()));
        if (endpoint.port == 0) picked = acceptor->local_endpoint().port();
        acceptors.push_back(std::move(*acceptor));
    }
    return acceptors;
}

void set_number(tcp::socket& socket, int level, int option, long long value) {
    const int number = static_cast<int>(value);
    // Best effort: a socket works, only less well, without.
    static_cast<void>(::setsockopt(socket.native_handle(), level, option, &number, sizeof number));
}

template <class Unit>
long long in_units(std::chrono::nanoseconds duration) {
    return std::chrono::duration_cast<Unit>(duration).count();
}

}  // namespace

tcp::endpoint to_asio(const core::Endpoint& endpoint) {
    if (!endpoint.is_v4()) {
        const auto bare = core::with_zone(endpoint, 0).address;
        return {asio::ip::address_v6(bare, core::zone_of(endpoint)), endpoint.port};
    }
    asio::ip::address_v4::bytes_type octets{};
    std::copy(endpoint.address.begin() + 12, endpoint.address.end(), octets.begin());
    return {asio::ip::address_v4(octets), endpoint.port};
}

core::Endpoint from_asio(const tcp::endpoint& endpoint) {
    const asio::ip::address address = endpoint.address();
    core::Endpoint result;
    result.port = endpoint.port();
    result.address =
        address.is_v6()
            ? address.to_v6().to_bytes()
            : asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4()).to_bytes();
    if (!address.is_v6()) return result;
    return core::with_zone(result, static_cast<std::uint32_t>(address.to_v6().scope_id()));
}

Result<std::vector<tcp::acceptor>> listen_on(const asio::any_io_executor& executor,
                                             std::vector<core::Endpoint> endpoints) {
    const bool picking = std::any_of(endpoints.begin(), endpoints.end(),
                                     [](const auto& endpoint) { return endpoint.port == 0; });
    for (int attempt = 1;; ++attempt) {
        std::error_code ec;
        auto acceptors = open_all(executor, endpoints, ec);
        const bool again = picking && endpoints.size() > 1 && ec == asio::error::address_in_use;
        if (acceptors || !again || attempt == port_attempts_max) return acceptors;
    }
}

bool has_ipv6() {
    asio::io_context io;
    tcp::acceptor acceptor(io);
    std::error_code ec;
    acceptor.open(tcp::v6(), ec);
    if (!ec) acceptor.bind({asio::ip::address_v6::loopback(), 0}, ec);
    return !ec;
}

Result<tcp::socket> dialling_socket(const asio::any_io_executor& executor,
                                    const core::Endpoint& target,
                                    const std::optional<core::Endpoint>& source) {
    tcp::socket socket(executor);
    std::error_code ec;
    socket.open(to_asio(target).protocol(), ec);
    // From a loopback address only loopback can be reached.
    const bool bind = source && source->is_v4() == target.is_v4() && !any_address(*source) &&
                      (!source->is_loopback() || target.is_loopback());
    if (!ec && bind) {
        set_number(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        socket.bind({to_asio(*source).address(), 0}, ec);
    }
    if (ec) return fail(Errc::peer_unreachable, fmt::format("no socket: {}", ec.message()));
    return socket;
}

bool prepare_connected(tcp::socket& socket) {
    using std::chrono::milliseconds;
    using std::chrono::seconds;
    std::error_code ec;
    socket.non_blocking(true, ec);
    if (ec) return false;
    set_number(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set_number(socket, IPPROTO_TCP, TCP_USER_TIMEOUT,
               in_units<milliseconds>(limits::tcp_user_timeout));
    set_number(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_number(socket, IPPROTO_TCP, TCP_KEEPIDLE, in_units<seconds>(limits::ping_interval));
    set_number(socket, IPPROTO_TCP, TCP_KEEPINTVL, in_units<seconds>(limits::ping_interval));
    set_number(socket, IPPROTO_TCP, TCP_KEEPCNT, 2);
    return true;
}

}  // namespace flow29::net
