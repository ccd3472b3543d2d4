// SPDX-License-Identifier: GPL-3.0-or-later
#include "hostile/trickle.hpp"

#include "net/sockets.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <array>

namespace flow29::hostile {

using asio::ip::tcp;
using namespace std::chrono_literals;

namespace {
constexpr auto as_tuple = asio::experimental::as_tuple(asio::use_awaitable);
}  // namespace

Result<core::Endpoint> Trickle::listen(core::Endpoint at, core::Endpoint node) {
    auto acceptors = net::listen_on(runtime_.executor(), {at});
    if (!acceptors) return fail(acceptors.error());
    auto acceptor = std::make_shared<tcp::acceptor>(std::move(acceptors->front()));
    const auto where = net::from_asio(acceptor->local_endpoint());
    net::spawn(runtime_, accept(std::move(acceptor), node, Slow::answers));
    return where;
}

Result<core::Endpoint> Trickle::way_to(core::Endpoint target) {
    auto at = source_;
    at.port = 0;
    auto acceptors = net::listen_on(runtime_.executor(), {at});
    if (!acceptors) return fail(acceptors.error());
    auto acceptor = std::make_shared<tcp::acceptor>(std::move(acceptors->front()));
    const auto where = net::from_asio(acceptor->local_endpoint());
    net::spawn(runtime_, accept(std::move(acceptor), target, Slow::questions));
    return where;
}

asio::awaitable<void> Trickle::accept(std::shared_ptr<tcp::acceptor> acceptor,
                                      core::Endpoint target, Slow slow) {
    do {
        auto accepted = co_await acceptor->async_accept(as_tuple);
        auto& [ec, socket] = accepted;
        if (ec) co_return;
        auto from = std::make_shared<tcp::socket>(std::move(socket));
        net::spawn(runtime_, join(std::move(from), target, slow));
    } while (slow == Slow::answers);
}

asio::awaitable<void> Trickle::join(SocketPtr from, core::Endpoint target, Slow slow) {
    auto opened = net::dialling_socket(runtime_.executor(), target, source_);
    if (!opened) co_return;
    auto to = std::make_shared<tcp::socket>(std::move(*opened));
    const tcp::endpoint endpoint = net::to_asio(target);
    auto connected = co_await to->async_connect(endpoint, as_tuple);
    if (std::get<0>(connected)) co_return;
    net::spawn(runtime_, pass(from, to, slow == Slow::questions));
    net::spawn(runtime_, pass(to, from, slow == Slow::answers));
}

asio::awaitable<void> Trickle::pass(SocketPtr from, SocketPtr to, bool slow) {
    std::array<std::uint8_t, 4096> room{};
    std::size_t passed = 0;
    std::error_code ec;
    while (!ec) {
        const bool one = slow_ && slow && passed >= free_octets;
        const auto into = asio::buffer(room.data(), one ? 1 : room.size());
        auto read = co_await from->async_read_some(into, as_tuple);
        ec = std::get<0>(read);
        if (ec) break;
        const auto octets = std::get<1>(read);
        const auto out = asio::buffer(room.data(), octets);
        auto written = co_await asio::async_write(*to, out, as_tuple);
        ec = std::get<0>(written);
        passed += octets;
        if (one) co_await net::sleep_for(runtime_, 1s);
    }
    std::error_code ignored;
    from->close(ignored);
    to->close(ignored);
}

}  // namespace flow29::hostile
