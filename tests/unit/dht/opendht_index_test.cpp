// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/opendht_index.hpp"

#include "swarm.hpp"

#include <mutex>

using namespace flow29;
using namespace flow29::dht;
using namespace flow29::dht::test;

TEST_CASE("what one node announces every node finds, the announcer included") {
    Swarm swarm(8);
    const DhtKey key = key_of("shared");
    const auto first = swarm[3].record(key);
    const auto second = swarm[5].record(key);
    CHECK(swarm[3].announce(first));
    CHECK(swarm[5].announce(second));

    for (auto& peer : swarm.peers) {
        const Lookup lookup = peer->find(key);
        CHECK(lookup.connected);
        CHECK(lookup.providers.size() == 2);
        CHECK(std::ranges::count(lookup.providers, first) == 1);
        CHECK(std::ranges::count(lookup.providers, second) == 1);
    }
}

TEST_CASE("providers are told of as they come, before the look-up has ended") {
    Swarm swarm(8);
    const DhtKey key = key_of("streamed");
    const auto record = swarm[3].record(key);
    CHECK(swarm[3].announce(record));
    struct Told {
        std::mutex mutex;
        std::vector<proto::ProviderRecord> seen;
        std::optional<std::size_t> seen_at_end;
    };
    const auto told = std::make_shared<Told>();
    Answer<Lookup> answer;
    swarm[6].index->find(
        key,
        [told, done = answer.callback()](Lookup lookup) {
            {
                const std::lock_guard lock(told->mutex);
                told->seen_at_end = told->seen.size();
            }
            done(std::move(lookup));
        },
        [told](const std::vector<proto::ProviderRecord>& records) {
            const std::lock_guard lock(told->mutex);
            told->seen.insert(told->seen.end(), records.begin(), records.end());
        });
    CHECK(answer.get().providers == std::vector{record});
    const std::lock_guard lock(told->mutex);
    CHECK(told->seen_at_end.value_or(0) > 0);
    CHECK(std::ranges::count(told->seen, record) > 0);
}

TEST_CASE("the nearest list holds the other nodes, nearest first, at their true addresses") {
    Swarm swarm(8);
    const DhtKey key = key_of("somewhere");
    // A table fills as nodes hear of each other, so an early list may lack some.
    CHECK(eventually([&] { return swarm[2].find(key).nearest.size() == 7; }));
    const Lookup lookup = swarm[2].find(key);
    CHECK(std::ranges::is_sorted(lookup.nearest, [&](const Contact& a, const Contact& b) {
        return core::nearer(key, a.position, b.position);
    }));
    for (std::size_t i = 0; i < 8; ++i) {
        const Contact self{core::dht_position(swarm[i].identity.id()),
                           swarm[i].index->local_endpoint()};
        CHECK(std::ranges::count(lookup.nearest, self) == (i == 2 ? 0 : 1));
    }
}

TEST_CASE("a higher sequence replaces a record everywhere and a lower one nowhere") {
    Swarm swarm(8);
    const DhtKey key = key_of("renewed");
    CHECK(swarm[1].announce(swarm[1].record(key, 5)));
    CHECK(swarm[1].announce(swarm[1].record(key, 7)));
    for (auto& peer : swarm.peers) {
        const Lookup lookup = peer->find(key);
        REQUIRE(lookup.providers.size() == 1);
        CHECK(lookup.providers[0].sequence == 7);
    }
    (void)swarm[1].announce(swarm[1].record(key, 6));
    for (std::size_t i = 2; i < 8; ++i) {
        const Lookup lookup = swarm[i].find(key);
        REQUIRE(lookup.providers.size() == 1);
        CHECK(lookup.providers[0].sequence == 7);
    }
}

TEST_CASE("a node's own record is found by its id") {
    Swarm swarm(4);
    proto::NodeRecord record;
    record.addresses = {swarm[1].index->local_endpoint()};
    record.storing = true;
    record.sequence = 3;
    record.expires = core::wall_now() + 2h;
    record.sign(swarm[1].identity);
    Answer<bool> announced;
    swarm[1].index->announce(record, announced.callback());
    CHECK(announced.get());

    Answer<std::optional<proto::NodeRecord>> found;
    swarm[3].index->find_node(swarm[1].identity.id(), found.callback());
    CHECK(found.get() == record);
    Answer<std::optional<proto::NodeRecord>> missing;
    swarm[3].index->find_node(swarm[2].identity.id(), missing.callback());
    CHECK(missing.get() == std::nullopt);
}

TEST_CASE("a node that does not store finds and announces but is in nobody's nearest list") {
    Swarm swarm(4);
    Peer client({.bind = {loopback(77)}, .storing = false});
    client.index->bootstrap({swarm[0].index->local_endpoint()});
    const DhtKey key = key_of("for clients");
    CHECK(client.announce(client.record(key)));
    CHECK(swarm[2].announce(swarm[2].record(key)));
    CHECK(client.find(key).providers.size() == 2);
    CHECK(client.status().stored_values == 0);

    for (auto& peer : swarm.peers) {
        const Lookup lookup = peer->find(key);
        CHECK(lookup.providers.size() == 2);
        for (const Contact& contact : lookup.nearest)
            CHECK(contact.endpoint.address != client.index->local_endpoint().address);
        Answer<std::vector<Contact>> neighbours;
        peer->index->neighbours(neighbours.callback());
        for (const Contact& contact : neighbours.get())
            CHECK(contact.endpoint.address != client.index->local_endpoint().address);
    }
}

TEST_CASE("a node alone finds its own records and says that nobody else is there") {
    Peer alone({.bind = {loopback(1)}});
    const DhtKey key = key_of("mine");
    CHECK_FALSE(alone.announce(alone.record(key)));
    const Lookup lookup = alone.find(key);
    CHECK_FALSE(lookup.connected);
    CHECK(lookup.nearest.empty());
    REQUIRE(lookup.providers.size() == 1);
    CHECK(alone.status().stored_values == 1);
}

TEST_CASE("traffic and operations are counted") {
    Swarm swarm(4);
    const DhtKey key = key_of("counted");
    CHECK(swarm[1].announce(swarm[1].record(key)));
    (void)swarm[1].find(key);
    const IndexStatus status = swarm[1].status();
    CHECK(status.connected);
    CHECK(status.good_nodes >= 1);
    CHECK(status.puts == 1);
    CHECK(status.lookups == 1);
    CHECK(status.packets_up > 4);
    CHECK(status.packets_down > 4);
    CHECK(status.bytes_up > status.packets_up * 20);
    CHECK(status.bytes_down > status.packets_down * 20);
    CHECK(status.datagrams_dropped == 0);
}
