// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <array>
#include <chrono>

#include <poll.h>

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include "swarm.hpp"
#include "wire.hpp"

namespace flow29::dht::test {

using asio::ip::udp;

static_assert(test_network == recorded_network);

/// A stranger with a plain UDP socket that speaks OpenDHT by hand.
class Stranger {
  public:
    Stranger(unsigned host, const core::Endpoint& victim)
        : socket_(io_, udp::endpoint(address(loopback(host)), 0)),
          victim_(address(victim), victim.port) {
        socket_.non_blocking(true);
    }

    void send(const Bytes& datagram) {
        std::error_code full;  // of no interest: UDP may lose things
        socket_.send_to(asio::buffer(datagram), victim_, 0, full);
    }
    /// Takes what has come; the octets of that.
    std::size_t swallow() {
        std::size_t octets = 0;
        std::error_code ec;
        while (!ec)
            octets += receive(ec).size();
        return octets;
    }
    /// The next datagram, waited for.
    Bytes await() {
        pollfd waiting{.fd = socket_.native_handle(), .events = POLLIN, .revents = 0};
        constexpr std::chrono::milliseconds most = patience;
        REQUIRE(::poll(&waiting, 1, static_cast<int>(most.count())) == 1);
        std::error_code ec;
        return receive(ec);
    }
    /// The token without which the victim takes no put from this socket.
    Bytes token() {
        const Bytes marker{0xa5, 't', 'o', 'k', 'e', 'n', 0xc4, 32};
        Wire arguments;
        arguments.map(3).str("id").bin(id_).str("h").bin(id_).str("q");
        arguments.map(2).str("s").array(1).octet(1).str("w").array(0);
        ask("get", arguments);
        for (;;) {
            const Bytes answer = await();
            const auto found = std::ranges::search(answer, marker);
            if (found.empty() || answer.end() - found.end() < 32) continue;
            return {found.end(), found.end() + 32};
        }
    }
    void put(const DhtKey& key, std::uint64_t value_id, ByteView octets, const Bytes& token) {
        Wire arguments;
        arguments.map(4).str("id").bin(id_).str("h").bin(key.view()).str("token").bin(token);
        arguments.str("values").array(1).map(2).str("id").uint(value_id).str("dat").map(1);
        arguments.str("body").map(2).str("type").uint(2900).str("data").bin(octets);
        ask("put", arguments);
    }
    /// As a client does, who has no id to prove.
    void ask(std::string_view name, const Wire& arguments) {
        Bytes flagged;
        REQUIRE(flag_as_client(query(name, arguments), flagged));
        send(flagged);
    }
    [[nodiscard]] core::Endpoint endpoint() const {
        auto result = loopback(1, socket_.local_endpoint().port());
        const auto octets = socket_.local_endpoint().address().to_v4().to_bytes();
        std::ranges::copy(octets, result.address.begin() + 12);
        return result;
    }

  private:
    static asio::ip::address address(const core::Endpoint& endpoint) {
        return asio::ip::make_address(endpoint.host());
    }
    Bytes receive(std::error_code& ec) {
        std::array<std::uint8_t, 2048> buffer{};
        const std::size_t size = socket_.receive(asio::buffer(buffer), 0, ec);
        return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size)};
    }

    asio::io_context io_;
    udp::socket socket_;
    udp::endpoint victim_;
    Bytes id_ = Bytes(20, 0x5a);
};

inline proto::ProviderRecord record_of(const core::Identity& identity, const DhtKey& key,
                                       const core::Endpoint& address, WallTime expires) {
    proto::ProviderRecord record;
    record.key = key;
    record.address = address;
    record.sequence = 1;
    record.expires = expires;
    record.sign(identity);
    return record;
}

}  // namespace flow29::dht::test
