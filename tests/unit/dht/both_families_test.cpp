// SPDX-License-Identifier: GPL-3.0-or-later
// Indexes with IPv4, with IPv6, and with both.
#include "dht/index_core.hpp"

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>

#include "swarm.hpp"

using namespace flow29;
using namespace flow29::dht;
using namespace flow29::dht::test;

namespace {

core::Endpoint loopback6(std::uint16_t port = 0) {
    auto endpoint = core::Endpoint::parse("[::1]:1").value();
    endpoint.port = port;
    return endpoint;
}

bool has_v6() {
    OpenDhtIndex::Options options{.bind = {loopback6()}};
    const auto identity = core::Identity::generate().value();
    options.identity = &identity;
    const bool has = OpenDhtIndex::start(options).has_value();
    if (!has) MESSAGE("skipped: no IPv6 here");
    return has;
}

/// Where the peer is in that family.
core::Endpoint at(const Peer& peer, bool is_v4) {
    const auto endpoints = peer.index->local_endpoints();
    const auto found = std::ranges::find(endpoints, is_v4, &core::Endpoint::is_v4);
    REQUIRE(found != endpoints.end());
    return *found;
}

proto::ProviderRecord record_at(const Peer& peer, const DhtKey& key, bool is_v4) {
    auto record = peer.record(key);
    record.address = at(peer, is_v4);
    record.sign(peer.identity);
    return record;
}

std::size_t nodes_known(Peer& peer) {
    return peer.status().good_nodes;
}

/// One that has both families, and one with each of them that knows it.
struct Mixed {
    Mixed() {
        v4.index->bootstrap({at(both, true)});
        v6.index->bootstrap({at(both, false)});
        REQUIRE(eventually([this] {
            return nodes_known(both) == 2 && nodes_known(v4) == 1 && nodes_known(v6) == 1;
        }));
    }
    Peer both{{.bind = {loopback(1), loopback6()}}};
    Peer v4{{.bind = {loopback(2)}}};
    Peer v6{{.bind = {loopback6()}}};
};

/// The core of an index with both, on the test's own thread.
struct Core {
    explicit Core(Duration other_family_max) {
        OpenDhtIndex::Options options;
        options.bind = {loopback(3), loopback6()};
        options.identity = &identity;
        options.network = test_network;
        options.other_family_max = other_family_max;
        core.emplace(io, std::move(options));
        const auto opened = core->open();
        REQUIRE_MESSAGE(opened.has_value(), opened.error().message());
        core->tick();
    }
    ~Core() { core->shut_down(); }

    template <class Condition>
    void run_until(Condition reached) {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (!reached()) {
            REQUIRE(std::chrono::steady_clock::now() < end);
            io.run_one_for(10ms);
        }
    }
    void look(std::optional<bool> for_v4, std::optional<RunnerOutcome>& outcome) {
        IndexCore::Operation operation{.key = key_of("looked for")};
        operation.for_v4 = for_v4;
        operation.done = [&outcome](RunnerOutcome got) { outcome = std::move(got); };
        core->begin(std::move(operation));
    }
    [[nodiscard]] bool has_neighbours(std::size_t count) const {
        return static_cast<std::size_t>(std::ranges::count_if(core->sides(), [](const auto& side) {
                   return side->has_neighbour() && side->can_ask();
               })) == count;
    }

    core::Identity identity = core::Identity::generate().value();
    asio::io_context io;
    std::optional<IndexCore> core;
};

}  // namespace

TEST_CASE("an index with both families finds what those with either put") {
    if (!has_v6()) return;
    Mixed swarm;
    const DhtKey key = key_of("of either");
    const auto of_v4 = record_at(swarm.v4, key, true);
    const auto of_v6 = record_at(swarm.v6, key, false);
    CHECK(swarm.v4.announce(of_v4));
    CHECK(swarm.v6.announce(of_v6));
    const auto found = swarm.both.find(key);
    CHECK(found.connected);
    CHECK(found.providers.size() == 2);
    CHECK(std::ranges::count(found.providers, of_v4) == 1);
    CHECK(std::ranges::count(found.providers, of_v6) == 1);
    CHECK(found.nearest.size() == 2);
    CHECK(swarm.both.status().stored_values == 2);
}

TEST_CASE("those with either family find what an index with both put, at an address of theirs") {
    if (!has_v6()) return;
    Mixed swarm;
    const DhtKey key = key_of("of both");
    const auto by_v4 = record_at(swarm.both, key, true);
    const auto by_v6 = record_at(swarm.both, key, false);
    CHECK(swarm.both.announce(by_v4));
    CHECK(swarm.both.announce(by_v6));
    CHECK(swarm.v4.find(key).providers == std::vector{by_v4});
    CHECK(swarm.v6.find(key).providers == std::vector{by_v6});
    // Itself has one of each, and is one node.
    CHECK(swarm.both.find(key).providers.size() == 2);
}

TEST_CASE("a node's own record is found in both families") {
    if (!has_v6()) return;
    Mixed swarm;
    proto::NodeRecord record;
    record.addresses = swarm.both.index->local_endpoints();
    record.storing = true;
    record.sequence = 3;
    record.expires = core::wall_now() + 2h;
    record.sign(swarm.both.identity);
    Answer<bool> announced;
    swarm.both.index->announce(record, announced.callback());
    CHECK(announced.get());
    for (Peer* peer : {&swarm.v4, &swarm.v6}) {
        Answer<std::optional<proto::NodeRecord>> found;
        peer->index->find_node(swarm.both.identity.id(), found.callback());
        CHECK(found.get() == record);
    }
}

TEST_CASE("a client has both families as well") {
    if (!has_v6()) return;
    Mixed swarm;
    Peer client({.bind = {loopback(4), loopback6()}, .storing = false});
    client.index->bootstrap({at(swarm.both, true), at(swarm.both, false)});
    const DhtKey key = key_of("for clients");
    CHECK(swarm.v4.announce(record_at(swarm.v4, key, true)));
    CHECK(swarm.v6.announce(record_at(swarm.v6, key, false)));
    CHECK(eventually([&] { return client.find(key).providers.size() == 2; }));
    CHECK(client.announce(record_at(client, key, false)));
    CHECK(swarm.v6.find(key).providers.size() == 2);
    CHECK(swarm.v4.find(key).providers.size() == 1);
}

TEST_CASE("an operation waits for no family that has nobody, though somebody may still come") {
    if (!has_v6()) return;
    Peer neighbour({.bind = {loopback(1)}});
    Core node(2s);
    node.core->bootstrap({neighbour.index->local_endpoint()});
    node.run_until([&] { return node.has_neighbours(1); });
    node.core->bootstrap({loopback6(9)});
    std::optional<RunnerOutcome> of_v6;
    std::optional<RunnerOutcome> of_any;
    node.look(false, of_v6);
    node.look(std::nullopt, of_any);
    node.run_until([&] { return of_any.has_value(); });
    CHECK(of_any->ok);
    CHECK(of_any->nodes.size() == 1);
    CHECK_FALSE(of_v6);
}

TEST_CASE("an operation that one family has answered does not wait for those who fell silent") {
    if (!has_v6()) return;
    Peer v4({.bind = {loopback(1)}});
    auto v6 = std::make_unique<Peer>(OpenDhtIndex::Options{.bind = {loopback6()}});
    Core node(0s);
    node.core->bootstrap({v4.index->local_endpoint(), v6->index->local_endpoint()});
    node.run_until([&] { return node.has_neighbours(2); });
    v6.reset();
    std::optional<RunnerOutcome> of_v6;
    std::optional<RunnerOutcome> of_both;
    node.look(false, of_v6);
    node.look(std::nullopt, of_both);
    node.run_until([&] { return of_both.has_value(); });
    CHECK(of_both->ok);
    CHECK(of_both->nodes.size() == 1);
    CHECK_FALSE(of_v6);
    // What goes on unheard ends, and does no harm.
    node.run_until([&] { return of_v6.has_value(); });
}

TEST_CASE("who is heard of becomes a neighbour, if there was none of that family") {
    if (!has_v6()) return;
    Peer v6({.bind = {loopback6()}});
    Core node(2s);
    node.core->hear_of({v6.index->local_endpoint(), loopback(9, 9)});
    node.run_until([&] { return node.has_neighbours(1); });

    asio::ip::udp::socket late(node.io, {asio::ip::address_v6::loopback(), 0});
    late.non_blocking(true);
    node.core->hear_of({loopback6(late.local_endpoint().port())});
    // What had been sent to it would be there before the answers to what is asked afterwards.
    std::optional<RunnerOutcome> outcome;
    node.look(false, outcome);
    node.run_until([&] { return outcome.has_value(); });
    CHECK(outcome->nodes.size() == 1);
    CHECK(late.available() == 0);
}
