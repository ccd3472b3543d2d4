// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>
#include <random>

#include "mutate.hpp"
#include "stranger.hpp"

using namespace flow29;
using namespace flow29::dht;
using namespace flow29::dht::test;

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
    Peer victim({.bind = {loopback(1)}});
    Stranger stranger(9, victim.index->local_endpoint());
    const auto identity = core::Identity::generate().value();
    const DhtKey key = key_of("contested");
    const Bytes token = stranger.token();
    const auto put = [&](const proto::ProviderRecord& record) {
        stranger.put(key, record.value_id(), record.encode(), token);
    };
    const auto fresh = [] { return core::Identity::generate().value(); };
    const WallTime later = core::wall_now() + 1h;

    auto forged = record_of(fresh(), key, stranger.endpoint(), later);
    forged.sequence += 1;
    put(forged);
    put(record_of(fresh(), key, stranger.endpoint(), core::wall_now() - 1h));
    put(record_of(fresh(), key, stranger.endpoint(), core::wall_now() + 48h));
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
    Peer victim({.bind = {loopback(1)}, .loopback_is_diverse = false});
    Stranger stranger(9, victim.index->local_endpoint());
    const DhtKey key = key_of("crowded");
    const Bytes token = stranger.token();
    for (int i = 0; i < 5; ++i) {
        const auto record = record_of(core::Identity::generate().value(), key, stranger.endpoint(),
                                      core::wall_now() + 1h);
        stranger.put(key, record.value_id(), record.encode(), token);
    }
    // The last put has been judged when this later one, at another key, is there.
    const DhtKey other = key_of("empty");
    const auto last = record_of(core::Identity::generate().value(), other, stranger.endpoint(),
                                core::wall_now() + 1h);
    stranger.put(other, last.value_id(), last.encode(), token);
    CHECK(eventually([&] { return victim.find(other).providers.size() == 1; }));
    CHECK(victim.find(key).providers.size() == limits::records_per_group_max);
}
