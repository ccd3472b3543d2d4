// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/peer_conduct.hpp"

#include <doctest/doctest.h>

#include <flow29/limits.hpp>

using namespace flow29;
using proto::PeerConduct;

namespace {
NodeId node(unsigned number) {
    NodeId id;
    id.bytes[0] = static_cast<std::uint8_t>(number >> 8);
    id.bytes[1] = static_cast<std::uint8_t>(number);
    return id;
}
}  // namespace

TEST_CASE("who was never heard of has a clean record") {
    const PeerConduct conduct(8);
    CHECK(conduct.of(node(1)).score == PeerConduct::score_max);
    CHECK(conduct.of(node(1)).strikes == 0);
    CHECK_FALSE(conduct.is_banned(node(1)));
    CHECK(conduct.marked().empty());
}

TEST_CASE("a lie bans at once, a broken rule the third time") {
    PeerConduct conduct(8);
    CHECK(conduct.on_lie(node(1), "a wrong byte"));
    CHECK(conduct.is_banned(node(1)));
    CHECK(conduct.of(node(1)).score == 0);
    CHECK_FALSE(conduct.on_lie(node(1), "another"));
    CHECK(conduct.of(node(1)).reason == "a wrong byte");

    CHECK_FALSE(conduct.on_strike(node(2), "first"));
    CHECK_FALSE(conduct.on_strike(node(2), "second"));
    CHECK_FALSE(conduct.is_banned(node(2)));
    CHECK(conduct.on_strike(node(2), "third"));
    CHECK(conduct.is_banned(node(2)));
    CHECK_FALSE(conduct.on_strike(node(2), "fourth"));
    CHECK(conduct.of(node(2)).strikes == 4);
    CHECK(conduct.marked().size() == 2);
    conduct.check_invariants();
}

TEST_CASE("the score follows what came of what was asked") {
    PeerConduct conduct(8);
    for (unsigned i = 0; i < 100; ++i)
        conduct.on_outcome(node(1), false);
    CHECK(conduct.of(node(1)).score < 2);
    CHECK_FALSE(conduct.is_banned(node(1)));
    for (unsigned i = 0; i < 200; ++i)
        conduct.on_outcome(node(1), true);
    CHECK(conduct.of(node(1)).score == PeerConduct::score_max);
    conduct.on_outcome(node(1), false);
    CHECK(conduct.of(node(1)).score < PeerConduct::score_max);
    conduct.check_invariants();
}

TEST_CASE("a disconnect is counted, with the address") {
    PeerConduct conduct(8);
    CHECK_FALSE(conduct.on_strike(node(1), "short"));
    conduct.on_disconnected(node(1), "192.0.2.1:2929");
    CHECK(conduct.of(node(1)).disconnects == 1);
    CHECK(conduct.of(node(1)).address == "192.0.2.1:2929");
}

TEST_CASE("any number of identities takes bounded memory, and the banned are forgotten last") {
    PeerConduct conduct(100);
    CHECK(conduct.on_lie(node(0), "it lied"));
    for (unsigned i = 1; i < 5'000; ++i)
        conduct.on_outcome(node(i), i % 2 == 0);
    CHECK(conduct.size() == 100);
    CHECK(conduct.is_banned(node(0)));
    CHECK(conduct.of(node(4'998)).score == PeerConduct::score_max);
    conduct.check_invariants();
    // A ban is worth something only as long as there are not that many others.
    for (unsigned i = 1; i <= 100; ++i)
        CHECK(conduct.on_lie(node(i), "it lied"));
    CHECK_FALSE(conduct.is_banned(node(0)));
    conduct.check_invariants();
}

TEST_CASE("a node remembers so many, and one more takes another one's place") {
    PeerConduct conduct(limits::conduct_nodes_max);
    for (unsigned i = 0; i < limits::conduct_nodes_max; ++i)
        conduct.on_outcome(node(i), false);
    CHECK(conduct.size() == limits::conduct_nodes_max);
    conduct.on_outcome(node(limits::conduct_nodes_max), false);
    CHECK(conduct.size() == limits::conduct_nodes_max);
    CHECK(conduct.of(node(limits::conduct_nodes_max)).score < PeerConduct::score_max);
    conduct.check_invariants();
}
