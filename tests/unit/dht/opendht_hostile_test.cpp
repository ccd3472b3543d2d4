// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <cstdlib>
#include <random>

#include <poll.h>

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include "mutate.hpp"
#include "swarm.hpp"
#include "wire.hpp"

using namespace flow29;
using namespace flow29::dht;
using namespace flow29::dht::test;
using asio::ip::udp;

static_assert(test_network == recorded_network);

namespace {

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
    void swallow() {
        std::error_code ec;
        while (!ec)
            receive(ec);
    }
    /// The token without which the victim takes no put from this socket.
    Bytes token() {
        const Bytes marker{0xa5, 't', 'o', 'k', 'e', 'n', 0xc4, 32};
        Wire arguments;
        arguments.map(3).str("id").bin(id_).str("h").bin(id_).str("q");
        arguments.map(2).str("s").array(1).octet(1).str("w").array(0);
        ask("get", arguments);
        for (;;) {
            pollfd waiting{.fd = socket_.native_handle(), .events = POLLIN, .revents = 0};
            constexpr std::chrono::milliseconds most = patience;
            REQUIRE(::poll(&waiting, 1, static_cast<int>(most.count())) == 1);
            std::error_code ec;
            const Bytes answer = receive(ec);
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

proto::ProviderRecord record_of(const core::Identity& identity, const DhtKey& key,
                                const core::Endpoint& address, WallTime expires) {
    proto::ProviderRecord record;
    record.key = key;
    record.address = address;
    record.sequence = 1;
    record.expires = expires;
    record.sign(identity);
    return record;
}

}  // namespace

TEST_CASE("the datagram that ends OpenDHT does not end an index") {
    Swarm swarm(2);
    Stranger stranger(9, swarm[0].index->local_endpoint());
    for (int i = 0; i < 100; ++i)
        stranger.send(unhex(killer_hex));
    CHECK(eventually([&] { return swarm[0].status().datagrams_dropped >= 100; }));
    const DhtKey key = key_of("alive");
    CHECK(swarm[1].announce(swarm[1].record(key)));
    CHECK(swarm[0].find(key).providers.size() == 1);
}

TEST_CASE("a live index answers after 100,000 mutated datagrams") {
    Swarm swarm(2);
    const DhtKey key = key_of("steadfast");
    CHECK(swarm[0].announce(swarm[0].record(key)));
    const char* chosen = std::getenv("FLOW29_TEST_SEED");
    const std::uint64_t seed = chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : 29;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    std::vector<Bytes> seeds{unhex(killer_hex)};
    for (const Recorded& one : recorded)
        seeds.push_back(unhex(one.hex));

    Stranger stranger(9, swarm[0].index->local_endpoint());
    const std::uint64_t before = swarm[0].status().packets_down;
    std::uint64_t sent = 0;
    while (sent < 100'000) {
        // So few at a time that the kernel's queue of the victim holds them all, however slow it
        // is.
        for (int i = 0; i < 50; ++i, ++sent)
            stranger.send(mutated(seeds[random() % seeds.size()], random));
        const auto arrived = [&] { return swarm[0].status().packets_down >= before + sent; };
        for (int looks = 0; looks < 20 && !arrived(); ++looks)
            std::this_thread::yield();
        REQUIRE(eventually(arrived));
        stranger.swallow();
    }
    const IndexStatus status = swarm[0].status();
    CHECK(status.datagrams_dropped > 10'000);
    CHECK(status.datagrams_dropped < status.packets_down);

    const DhtKey other = key_of("after the storm");
    CHECK(swarm[1].announce(swarm[1].record(other)));
    CHECK(swarm[0].find(other).providers.size() == 1);
    CHECK(swarm[1].find(key).providers.size() == 1);
}

TEST_CASE("a stranger's sound record is stored and every unsound one is refused") {
    Peer victim({.bind = loopback(1)});
    Stranger stranger(9, victim.index->local_endpoint());
    const auto identity = core::Identity::generate().value();
    const DhtKey key = key_of("contested");
    const Bytes token = stranger.token();
    const auto put = [&](const proto::ProviderRecord& record) {
        stranger.put(key, record.value_id(), record.encode(), token);
    };
    const auto fresh = [] { return core::Identity::generate().value(); };
    const WallTime later = wall_now() + 1h;

    auto forged = record_of(fresh(), key, stranger.endpoint(), later);
    forged.sequence += 1;
    put(forged);
    put(record_of(fresh(), key, stranger.endpoint(), wall_now() - 1h));
    put(record_of(fresh(), key, stranger.endpoint(), wall_now() + 48h));
    put(record_of(fresh(), key, loopback(10, 4000), later));
    put(record_of(fresh(), key_of("elsewhere"), stranger.endpoint(), later));
    const auto sound = record_of(identity, key, stranger.endpoint(), later);
    stranger.put(key, sound.value_id() + 1, sound.encode(), token);
    stranger.put(key, sound.value_id(), Bytes(record_payload_bytes_max + 1), token);
    put(sound);

    CHECK(eventually([&] { return victim.status().stored_values > 0; }));
    CHECK(victim.status().stored_values == 1);
    const Lookup lookup = victim.find(key);
    REQUIRE(lookup.providers.size() == 1);
    CHECK(lookup.providers[0] == sound);

    auto stale = record_of(identity, key, stranger.endpoint(), later + 1h);
    put(stale);
    auto renewed = stale;
    renewed.sequence = 2;
    renewed.sign(identity);
    put(renewed);
    CHECK(eventually([&] { return victim.find(key).providers.at(0) == renewed; }));
    CHECK(victim.status().stored_values == 1);
}

TEST_CASE("signers of one address group share a bounded part of a key") {
    Peer victim({.bind = loopback(1), .loopback_is_diverse = false});
    Stranger stranger(9, victim.index->local_endpoint());
    const DhtKey key = key_of("crowded");
    const Bytes token = stranger.token();
    for (int i = 0; i < 5; ++i) {
        const auto record = record_of(core::Identity::generate().value(), key, stranger.endpoint(),
                                      wall_now() + 1h);
        stranger.put(key, record.value_id(), record.encode(), token);
    }
    // The last put has been judged when this later one, at another key, is there.
    const DhtKey other = key_of("empty");
    const auto last =
        record_of(core::Identity::generate().value(), other, stranger.endpoint(), wall_now() + 1h);
    stranger.put(other, last.value_id(), last.encode(), token);
    CHECK(eventually([&] { return victim.find(other).providers.size() == 1; }));
    CHECK(victim.find(key).providers.size() == limits::records_per_group_max);
}
