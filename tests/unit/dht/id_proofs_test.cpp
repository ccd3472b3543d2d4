// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/id_proofs.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include <flow29/limits.hpp>

#include "core/descriptor.hpp"

using namespace flow29;
using namespace std::chrono_literals;
using dht::IdProofs;

namespace {

core::Endpoint at(const std::string& text) {
    return core::Endpoint::parse(text).value();
}

const core::Endpoint here = at("192.0.2.1:2929");
const core::Endpoint there = at("198.51.100.7:2929");
const core::Endpoint elsewhere = at("203.0.113.9:2929");

/// A receiver, and the clocks of everybody.
struct Desk {
    core::Identity identity = core::Identity::generate().value();
    IdProofs proofs{&identity};
    TimePoint now{1h};
    WallTime wall_now{std::chrono::hours(500'000)};

    /// Whether a datagram with this id passes; the id that it has then in `id`.
    bool admit(DhtKey& id, ByteView proof, const core::Endpoint& from, bool client = false,
               const core::Endpoint& to = here) {
        return proofs.admit({std::span(id.bytes), client}, proof, {from, to, now, wall_now});
    }
};

/// A sender.
struct Sender {
    core::Identity identity = core::Identity::generate().value();
    IdProofs proofs{&identity};
    DhtKey id = core::dht_position(identity.id());

    Bytes proof(const Desk& desk, const core::Endpoint& to = here) {
        const auto proof = proofs.proof_for(to, desk.now, desk.wall_now);
        return {proof.begin(), proof.end()};
    }
};

}  // namespace

TEST_CASE("an id passes from where it was proved, and from nowhere else") {
    Desk desk;
    Sender sender;
    auto id = sender.id;
    CHECK_FALSE(desk.admit(id, {}, there));
    const auto proof = sender.proof(desk);
    REQUIRE(proof.size() == IdProofs::proof_bytes);
    CHECK(desk.admit(id, proof, there));
    CHECK(desk.admit(id, {}, there));
    CHECK_FALSE(desk.admit(id, {}, elsewhere));
    CHECK(id == sender.id);
    desk.now += IdProofs::proof_lasts;
    CHECK_FALSE(desk.admit(id, {}, there));
}

TEST_CASE("a proof of one id proves no other") {
    Desk desk;
    Sender sender;
    Sender victim;
    auto id = victim.id;
    CHECK_FALSE(desk.admit(id, sender.proof(desk), there));
    CHECK(desk.proofs.signatures_checked() == 0);
    auto mixed = sender.proof(desk);
    const auto& key = victim.identity.public_key().bytes;
    std::ranges::copy(key, mixed.begin());
    CHECK_FALSE(desk.admit(id, mixed, there));
    CHECK(desk.proofs.signatures_checked() == 1);
    CHECK(desk.proofs.proven() == 0);
}

TEST_CASE("what was proved to one node is worth nothing at another") {
    Desk desk;
    Sender victim;
    auto id = victim.id;
    const auto given = victim.proof(desk, elsewhere);
    CHECK_FALSE(desk.admit(id, given, elsewhere));
    CHECK(desk.proofs.signatures_checked() == 0);
    // Behind an address translation, no node knows what others call it.
    CHECK(desk.admit(id, given, elsewhere, false, at("10.0.0.7:2929")));
}

TEST_CASE("every octet of a proof counts, and so does its time") {
    Desk desk;
    Sender sender;
    auto id = sender.id;
    const auto proof = sender.proof(desk);
    for (std::size_t i = 0; i < proof.size(); ++i) {
        auto changed = proof;
        changed[i] ^= 1;
        desk.now += 100ms;
        CHECK_FALSE(desk.admit(id, changed, there));
    }
    CHECK_FALSE(desk.admit(id, Bytes(proof.begin(), proof.end() - 1), there));
    desk.wall_now += 2h;
    CHECK_FALSE(desk.admit(id, proof, there));
    desk.wall_now -= 4h;
    CHECK_FALSE(desk.admit(id, proof, there));
    CHECK(desk.proofs.proven() == 0);
    desk.wall_now += 2h;
    CHECK(desk.admit(id, proof, there));
}

TEST_CASE("a client is given an id of its address, whatever it claims") {
    Desk desk;
    Sender victim;
    auto first = victim.id;
    CHECK(desk.admit(first, {}, there, true));
    CHECK(first != victim.id);
    DhtKey second{};
    CHECK(desk.admit(second, {}, there, true));
    CHECK(second == first);
    DhtKey other{};
    CHECK(desk.admit(other, {}, elsewhere, true));
    CHECK(other != first);
    CHECK(desk.proofs.proven() == 0);
}

TEST_CASE("signatures are looked at so many times a second, whoever asks for it") {
    Desk desk;
    Sender sender;
    auto id = sender.id;
    auto forged = sender.proof(desk);
    forged.back() ^= 1;
    for (unsigned i = 0; i < 2 * limits::id_checks_per_group_max; ++i)
        CHECK_FALSE(desk.admit(id, forged, there));
    CHECK(desk.proofs.signatures_checked() == limits::id_checks_per_group_max);
    // Another network is none the worse for it.
    CHECK(desk.admit(id, sender.proof(desk), elsewhere));
    for (unsigned group = 0; group < 256; ++group)
        for (unsigned i = 0; i < 8; ++i)
            CHECK_FALSE(desk.admit(id, forged, at("10.0." + std::to_string(group) + ".1:1")));
    CHECK(desk.proofs.signatures_checked() == limits::id_checks_per_second_max);
    desk.now += 1s;
    CHECK_FALSE(desk.admit(id, forged, there));
    CHECK(desk.proofs.signatures_checked() == limits::id_checks_per_second_max + 1);
}

TEST_CASE("one network takes up a bounded part of what is remembered") {
    Desk desk;
    Sender honest;
    auto honest_id = honest.id;
    CHECK(desk.admit(honest_id, honest.proof(desk), elsewhere));
    Sender sender;
    const auto proof = sender.proof(desk);
    for (unsigned port = 1; port <= limits::ids_proven_per_group_max + 50; ++port) {
        auto id = sender.id;
        desk.now += 100ms;
        CHECK(desk.admit(id, proof, at("198.51.100.7:" + std::to_string(port))));
    }
    CHECK(desk.proofs.proven() == limits::ids_proven_per_group_max + 1);
    CHECK(desk.admit(honest_id, {}, elsewhere));
}

TEST_CASE("so many addresses that proved an id are remembered, the one proven longest ago goes") {
    Desk desk;
    Sender sender;
    const auto proof = sender.proof(desk);
    const auto from = [](std::size_t i) {
        return at("198." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".7:2929");
    };
    // Each group may have few of them, so there are many groups.
    for (std::size_t i = 0; i < limits::ids_proven_max + 50; ++i) {
        auto id = sender.id;
        desk.now += 3ms;
        REQUIRE(desk.admit(id, proof, from(i)));
        CHECK(desk.proofs.proven() <= limits::ids_proven_max);
    }
    CHECK(desk.proofs.proven() == limits::ids_proven_max);
    auto id = sender.id;
    CHECK_FALSE(desk.admit(id, {}, from(49)));
    CHECK(desk.admit(id, {}, from(50)));
}

TEST_CASE("so many proofs that were made are remembered") {
    Desk desk;
    Sender sender;
    for (std::size_t i = 0; i < limits::id_proofs_made_max + 50; ++i) {
        const auto to =
            at("198.51." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ":1");
        CHECK_FALSE(sender.proof(desk, to).empty());
        CHECK(sender.proofs.made() <= limits::id_proofs_made_max);
    }
    CHECK(sender.proofs.made() == 50);
}

TEST_CASE("a proof goes along at first, after silence, when it is due, and when it is answered") {
    Desk desk;
    Sender sender;
    for (unsigned i = 0; i < IdProofs::proofs_at_first; ++i)
        CHECK_FALSE(sender.proof(desk).empty());
    CHECK(sender.proof(desk).empty());
    desk.now += IdProofs::silence;
    CHECK_FALSE(sender.proof(desk).empty());
    // The other end proves itself: it may have begun anew.
    DhtKey id = core::dht_position(desk.identity.id());
    const auto greeting = desk.proofs.proof_for(there, desk.now, desk.wall_now);
    CHECK(sender.proofs.admit({std::span(id.bytes), false}, greeting,
                              {here, there, desk.now, desk.wall_now}));
    CHECK_FALSE(sender.proof(desk).empty());
    CHECK(sender.proof(desk).empty());
    desk.now += IdProofs::proof_renewed;
    CHECK_FALSE(sender.proof(desk).empty());
}

TEST_CASE("a client proves nothing") {
    IdProofs client(nullptr);
    CHECK(client.proof_for(here, TimePoint(1h), WallTime(std::chrono::hours(1))).empty());
}

TEST_CASE("a proof comes off a datagram as it was put on") {
    const Bytes datagram{0x82, 0xa1, 'y', 0xa1, 'q', 0xa1, 't', 0x07};
    Sender sender;
    const auto proof = sender.proof(Desk());
    Bytes sent;
    REQUIRE(dht::add_proof(datagram, proof, sent));
    CHECK(sent.size() == datagram.size() + dht::proof_field_bytes);
    std::span<std::uint8_t> received(sent);
    const auto taken = dht::take_proof(received);
    REQUIRE(taken.has_value());
    CHECK(std::ranges::equal(*taken, proof));
    CHECK(std::ranges::equal(received, datagram));

    Bytes plain = datagram;
    std::span<std::uint8_t> without(plain);
    CHECK_FALSE(dht::take_proof(without).has_value());
    CHECK(std::ranges::equal(without, datagram));
    CHECK_FALSE(dht::add_proof(Bytes{0x90}, proof, sent));
    CHECK_FALSE(dht::add_proof(Bytes{0x8f}, proof, sent));
    CHECK_FALSE(dht::add_proof({}, proof, sent));
}
