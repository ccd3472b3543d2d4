// SPDX-License-Identifier: GPL-3.0-or-later
// Indexes of a private swarm on real sockets.
#include "swarm.hpp"

namespace flow29::dht::test {
namespace {

/// Where an index that listens on any address of this machine is found from within it.
core::Endpoint on_loopback(const Peer& peer) {
    return loopback(1, peer.index->local_endpoint().port);
}

OpenDhtIndex::Options anywhere(std::optional<core::SwarmKey> key) {
    OpenDhtIndex::Options options{.bind = {loopback(0)}};
    std::fill_n(options.bind.front().address.begin() + 12, 4, std::uint8_t{0});
    options.swarm_key = key;
    return options;
}

TEST_CASE("members that listen on any address find each other's records") {
    const auto key = core::new_swarm_key();
    Peer first(anywhere(key)), second(anywhere(key));
    second.index->bootstrap({on_loopback(first)});
    REQUIRE(eventually([&] { return first.status().connected && second.status().connected; }));
    CHECK(first.status().datagrams_foreign == 0);
    CHECK(second.status().datagrams_foreign == 0);
    auto record = first.record(key_of("private"));
    record.address = on_loopback(first);
    record.sign(first.identity);
    REQUIRE(first.announce(record));
    CHECK(eventually([&] { return second.find(record.key).providers.size() == 1; }));
}

TEST_CASE("who has no key, or another, hears nothing of a private swarm") {
    Peer member(anywhere(core::new_swarm_key()));
    Peer stranger(anywhere(std::nullopt)), other(anywhere(core::new_swarm_key()));
    for (Peer* const peer : {&stranger, &other}) {
        const auto before = member.status().datagrams_foreign;
        peer->index->bootstrap({on_loopback(member)});
        REQUIRE(eventually([&] { return member.status().datagrams_foreign > before; }));
        // Nothing came back: all that it heard is what its own two sockets say to each other.
        CHECK_FALSE(peer->status().connected);
        CHECK(peer->status().datagrams_foreign == 0);
        CHECK(peer->status().good_nodes == 0);
    }
    CHECK_FALSE(member.status().connected);
}

}  // namespace
}  // namespace flow29::dht::test
