// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include "dht/id_proofs.hpp"
#include "swarm.hpp"
#include "wire.hpp"

// Real OpenDHT nodes, and a thief who wants one of their places in the tables of the others.

using namespace flow29;
using namespace flow29::dht;
using namespace flow29::dht::test;
using asio::ip::udp;

namespace {

constexpr unsigned nodes = 64;

class Thief {
  public:
    explicit Thief(unsigned host)
        : socket_(io_, udp::endpoint(asio::ip::make_address(loopback(host).host()), 0)) {
        socket_.non_blocking(true);
    }

    void send(ByteView datagram, const core::Endpoint& to) {
        std::error_code full;  // of no interest: UDP may lose things
        socket_.send_to(asio::buffer(datagram.data(), datagram.size()),
                        {asio::ip::make_address(to.host()), to.port}, 0, full);
    }
    /// The proof that a node gives to whoever asks it something.
    std::optional<IdProofs::Proof> proof_of(const core::Endpoint& victim) {
        std::optional<IdProofs::Proof> found;
        const auto asked = eventually([&] {
            Bytes flagged;
            Wire arguments;
            arguments.map(1).str("id").bin(Bytes(20, 0x5a));
            REQUIRE(flag_as_client(query("ping", arguments), flagged));
            send(flagged, victim);
            std::array<std::uint8_t, 2048> buffer{};
            std::error_code ec;
            const auto size = socket_.receive(asio::buffer(buffer), 0, ec);
            if (ec) return false;
            std::span<std::uint8_t> datagram(buffer.data(), size);
            found = take_proof(datagram);
            return found.has_value();
        });
        CHECK(asked);
        return found;
    }

  private:
    asio::io_context io_;
    udp::socket socket_;
};

Bytes ping_as(const DhtKey& id) {
    Wire arguments;
    arguments.map(1).str("id").bin(id.view());
    return query("ping", arguments);
}

Bytes pong_as(const DhtKey& id) {
    Wire body;
    body.map(1).str("id").bin(id.view());
    return reply(body);
}

}  // namespace

TEST_CASE(
    "nobody moves another node's id by a datagram, keyless or with a proof that it was given") {
    Swarm swarm(nodes);
    constexpr std::array<std::size_t, 3> victims{7, 29, 51};
    constexpr std::array<std::size_t, 4> lookers{0, 13, 33, 60};
    const auto position = [&](std::size_t i) { return core::dht_position(swarm[i].identity.id()); };
    const auto is_found = [&](std::size_t looker, std::size_t victim) {
        const auto nearest = swarm[looker].find(position(victim)).nearest;
        return std::ranges::any_of(nearest, [&](const Contact& contact) {
            return contact.position == position(victim) &&
                   contact.endpoint == swarm[victim].index->local_endpoint();
        });
    };
    for (const auto looker : lookers)
        for (const auto victim : victims)
            REQUIRE(eventually([&] { return is_found(looker, victim); }));

    Thief thief(200);
    std::uint64_t sent = 0;
    for (const auto victim : victims) {
        const auto given = thief.proof_of(swarm[victim].index->local_endpoint());
        REQUIRE(given.has_value());
        Bytes flagged;
        Bytes stolen;
        REQUIRE(flag_as_client(ping_as(position(victim)), flagged));
        REQUIRE(add_proof(ping_as(position(victim)), *given, stolen));
        for (std::size_t i = 0; i < nodes; ++i) {
            if (i == victim) continue;
            const auto to = swarm[i].index->local_endpoint();
            for (const auto& datagram :
                 {ping_as(position(victim)), pong_as(position(victim)), flagged, stolen})
                thief.send(datagram, to);
            sent += 3;
        }
    }
    const auto dropped = [&] {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < nodes; ++i)
            sum += swarm[i].status().datagrams_dropped;
        return sum;
    };
    // All of them have arrived, and none but the clients' passed.
    CHECK(eventually([&] { return dropped() >= sent; }));

    for (const auto looker : lookers)
        for (const auto victim : victims) {
            const auto nearest = swarm[looker].find(position(victim)).nearest;
            for (const auto& contact : nearest)
                if (contact.position == position(victim))
                    CHECK(contact.endpoint == swarm[victim].index->local_endpoint());
            CHECK(eventually([&] { return is_found(looker, victim); }));
        }
}
