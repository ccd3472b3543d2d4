// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/datagram_guard.hpp"

#include <random>

#include <flow29/limits.hpp>
#include "dht/record_rules.hpp"
#include "mutate.hpp"
#include "wire.hpp"

using namespace flow29;
using namespace flow29::dht;
using namespace flow29::dht::test;

namespace {

bool passes(const Bytes& datagram) {
    return guard_datagram(datagram, recorded_network).has_value();
}

Wire id_and(unsigned more) {
    Wire wire;
    wire.map(1 + more).str("id").bin(20);
    return wire;
}

Wire value(std::uint64_t type, std::size_t size) {
    Wire wire;
    wire.map(2).str("id").uint(5).str("dat").map(1).str("body");
    return wire.map(2).str("type").uint(type).str("data").bin(size);
}

Bytes put_of(const Wire& packed_value, unsigned values = 1) {
    Wire arguments = id_and(3);
    arguments.str("h").bin(20).str("token").bin(32).str("values").array(values);
    for (unsigned i = 0; i < values; ++i)
        arguments.raw(packed_value.bytes());
    return query("put", arguments);
}

Bytes get_with(const Wire& query_map) {
    return query("get", id_and(2).str("h").bin(20).str("q").raw(query_map.bytes()));
}

Bytes reply_with_fields(const Wire& fields) {
    return reply(id_and(1).str("fileds").raw(fields.bytes()));
}

}  // namespace

TEST_CASE("the guard lets every recorded datagram through and names its kind") {
    for (const Recorded& one : recorded) {
        CAPTURE(one.name);
        const auto facts = guard_datagram(unhex(one.hex), recorded_network);
        REQUIRE(facts.has_value());
        CHECK(facts->kind == one.kind);
    }
}

TEST_CASE("the guard refuses every shortened and every prolonged recorded datagram") {
    for (const Recorded& one : recorded) {
        CAPTURE(one.name);
        Bytes datagram = unhex(one.hex);
        for (std::size_t size = 0; size < datagram.size(); ++size) {
            CAPTURE(size);
            CHECK_FALSE(passes(Bytes(datagram.begin(), datagram.begin() + long(size))));
        }
        datagram.push_back(0xc0);
        CHECK_FALSE(passes(datagram));
    }
}

TEST_CASE("the guard refuses another network's datagrams") {
    for (const Recorded& one : recorded) {
        CHECK_FALSE(guard_datagram(unhex(one.hex), recorded_network + 1).has_value());
        CHECK_FALSE(guard_datagram(unhex(one.hex), 0).has_value());
    }
}

TEST_CASE("the guard refuses the datagram that ends OpenDHT 2.4.12") {
    CHECK_FALSE(guard_datagram(unhex(killer_hex), 0).has_value());
    CHECK_FALSE(passes(unhex(killer_hex)));
}

TEST_CASE("the guard refuses what asks for memory it does not bring") {
    CHECK_FALSE(passes({0xdf, 0xff, 0xff, 0xff, 0xff}));
    CHECK_FALSE(passes({0xdd, 0xff, 0xff, 0xff, 0xff}));
    CHECK_FALSE(passes({0xc6, 0xff, 0xff, 0xff, 0xff}));
    CHECK_FALSE(passes({0x81, 0xa1, 'y', 0xdb, 0xff, 0xff, 0xff, 0xff}));
    CHECK_FALSE(passes(Bytes(limits::datagram_bytes_max, 0x91)));
    CHECK_FALSE(passes(Bytes(limits::datagram_bytes_max + 1)));
    CHECK_FALSE(passes({}));
}

TEST_CASE("the guard finds the packed contacts of a reply") {
    const Bytes datagram = reply(id_and(1).str("n4").bin(3 * 26));
    const auto facts = guard_datagram(datagram, recorded_network);
    REQUIRE(facts.has_value());
    CHECK(facts->contacts4_bytes == 3 * 26);
    CHECK(ByteView(datagram).subspan(facts->contacts4_offset - 3, 3)[0] == 0xc5);
    CHECK(passes(reply(id_and(1).str("n4").bin(std::size_t{0}))));
    CHECK(passes(reply(id_and(1).str("n4").bin(8 * 26))));
    CHECK_FALSE(passes(reply(id_and(1).str("n4").bin(9 * 26))));
    CHECK_FALSE(passes(reply(id_and(1).str("n4").bin(25))));
    const Bytes of_v6 = reply(id_and(1).str("n6").bin(8 * 38));
    const auto facts6 = guard_datagram(of_v6, recorded_network);
    REQUIRE(facts6.has_value());
    CHECK(facts6->contacts4_bytes == 0);
    CHECK(facts6->contacts6_bytes == 8 * 38);
    CHECK(ByteView(of_v6).subspan(facts6->contacts6_offset - 3, 3)[0] == 0xc5);
    CHECK_FALSE(passes(reply(id_and(1).str("n6").bin(37))));
}

TEST_CASE("the guard wants a map where OpenDHT walks one") {
    CHECK(passes(query("ping", id_and(0))));
    CHECK_FALSE(passes(query("ping", Wire().uint(1))));
    CHECK_FALSE(passes(query("ping", Wire().array(1).uint(1))));
    CHECK_FALSE(passes(query("ping", Wire().str("x"))));
    CHECK_FALSE(passes(reply(Wire().octet(0xc0))));
}

TEST_CASE("the guard checks an error's array and wants its sender") {
    const auto error = [](const Wire& code, bool with_sender) {
        Wire wire;
        wire.map(with_sender ? 6 : 5).str("e").raw(code.bytes());
        if (with_sender) wire.str("r").raw(id_and(0).bytes());
        return envelope(wire, "e").bytes();
    };
    CHECK(passes(error(Wire().array(2).uint(401).str("no"), true)));
    CHECK_FALSE(passes(error(Wire().array(2).uint(401).str("no"), false)));
    CHECK_FALSE(passes(error(Wire().array(0), true)));
    CHECK_FALSE(passes(error(Wire().array(2).str("no").uint(401), true)));
    CHECK_FALSE(passes(error(Wire().array(2).uint(65536).str("no"), true)));
    CHECK_FALSE(passes(error(Wire().map(0), true)));
}

TEST_CASE("the guard refuses a key that comes twice or is not known") {
    Wire twice;
    twice.map(2).str("id").bin(20).str("id").bin(20);
    CHECK_FALSE(passes(query("ping", twice)));
    CHECK_FALSE(passes(query("ping", id_and(1).str("sid").uint(1))));
    CHECK_FALSE(passes(query("ping", id_and(1).str("zz").uint(1))));
    CHECK_FALSE(passes(query("ping", id_and(1).str("h").bin(20))));
    Wire two_bodies;
    two_bodies.map(7).str("a").raw(id_and(0).bytes()).str("r").raw(id_and(0).bytes());
    two_bodies.str("q").str("ping");
    CHECK_FALSE(passes(envelope(two_bodies, "q").bytes()));
}

TEST_CASE("the guard refuses requests that this program never sends") {
    CHECK_FALSE(passes(query("listen", id_and(2).str("h").bin(20).str("token").bin(32))));
    CHECK_FALSE(passes(query("refresh", id_and(2).str("h").bin(20).str("vid").uint(1))));
    CHECK_FALSE(passes(query("update", id_and(1).str("h").bin(20))));
    Wire parts;
    parts.map(5).str("p").map(1).uint(0).map(2).str("o").uint(0).str("d").bin(10);
    CHECK_FALSE(passes(envelope(parts, "p").bytes()));
}

TEST_CASE("the guard wants an id of 20 octets") {
    Wire none;
    none.map(0);
    CHECK_FALSE(passes(query("ping", none)));
    for (const std::size_t size : {0, 19, 21}) {
        Wire wire;
        wire.map(1).str("id").bin(size);
        CHECK_FALSE(passes(query("ping", wire)));
    }
}

TEST_CASE("the guard accepts only our value types, unsigned, whole and small enough") {
    CHECK(passes(put_of(value(2900, 100))));
    CHECK(passes(put_of(value(2901, 100))));
    CHECK(passes(put_of(value(2900, record_payload_bytes_max))));
    CHECK_FALSE(passes(put_of(value(2900, record_payload_bytes_max + 1))));
    CHECK_FALSE(passes(put_of(value(2899, 100))));
    CHECK_FALSE(passes(put_of(value(2902, 100))));
    CHECK_FALSE(passes(put_of(value(0, 100))));
    CHECK_FALSE(passes(put_of(value(2900 + 65536, 100))));
    CHECK_FALSE(passes(put_of(Wire().uint(700))));
    CHECK_FALSE(passes(put_of(value(2900, 100), 0)));
    CHECK_FALSE(passes(put_of(value(2900, 100), 2)));

    Wire encrypted;
    encrypted.map(2).str("id").uint(5).str("dat").bin(64);
    CHECK_FALSE(passes(put_of(encrypted)));
    Wire signed_value;
    signed_value.map(2).str("id").uint(5).str("dat").map(2).str("sig").bin(64).str("body");
    signed_value.map(2).str("type").uint(2900).str("data").bin(10);
    CHECK_FALSE(passes(put_of(signed_value)));
    Wire without_id;
    without_id.map(2).str("id").uint(0).str("dat").map(1).str("body");
    without_id.map(2).str("type").uint(2900).str("data").bin(10);
    CHECK_FALSE(passes(put_of(without_id)));
}

TEST_CASE("the guard refuses a get that would be answered with every value whole") {
    CHECK(passes(get_with(Wire().map(2).str("s").array(1).octet(1).str("w").array(0))));
    Wire one_value;
    one_value.map(2).str("s").array(0).str("w").array(1).map(2).str("f").octet(1);
    one_value.str("v").uint(9);
    CHECK(passes(get_with(one_value)));

    CHECK_FALSE(passes(query("get", id_and(1).str("h").bin(20))));
    CHECK_FALSE(passes(get_with(Wire().map(2).str("s").array(0).str("w").array(0))));
    Wire one_type;
    one_type.map(2).str("s").array(0).str("w").array(1).map(2).str("f").octet(2);
    one_type.str("v").uint(2900);
    CHECK_FALSE(passes(get_with(one_type)));
}

TEST_CASE("the guard refuses selections that OpenDHT answers with a broken datagram") {
    for (const unsigned field : {0U, 3U, 5U, 6U, 7U, 0x7fU}) {
        CAPTURE(field);
        CHECK_FALSE(
            passes(get_with(Wire().map(2).str("s").array(1).octet(field).str("w").array(0))));
    }
}

TEST_CASE("the guard refuses field rows that OpenDHT would divide by zero or read past") {
    CHECK(passes(reply_with_fields(
        Wire().map(2).str("f").array(2).octet(1).octet(4).str("v").array(2).uint(1).uint(2))));
    CHECK(passes(reply_with_fields(Wire().map(2).str("f").array(1).octet(1).str("v").array(0))));
    CHECK_FALSE(
        passes(reply_with_fields(Wire().map(2).str("f").array(0).str("v").array(1).uint(1))));
    CHECK_FALSE(passes(reply_with_fields(
        Wire().map(2).str("f").array(2).octet(1).octet(4).str("v").array(1).uint(1))));
    CHECK_FALSE(passes(reply_with_fields(
        Wire().map(2).str("f").array(2).octet(1).octet(1).str("v").array(2).uint(1).uint(2))));
    CHECK_FALSE(passes(
        reply_with_fields(Wire().map(2).str("f").array(1).octet(3).str("v").array(1).uint(1))));
    CHECK_FALSE(passes(reply_with_fields(Wire().map(1).str("v").array(0))));
    Wire many;
    many.map(2).str("f").array(1).octet(1).str("v").array(129);
    for (int i = 0; i < 129; ++i)
        many.octet(1);
    CHECK_FALSE(passes(reply_with_fields(many)));
}

TEST_CASE("the guard survives mutated datagrams and accepts none that is malformed at its end") {
    std::mt19937_64 random(29);
    std::size_t accepted = 0;
    for (int i = 0; i < 200'000; ++i) {
        Bytes datagram = mutated(unhex(recorded[random() % std::size(recorded)].hex), random);
        if (!passes(datagram)) continue;
        ++accepted;
        datagram.pop_back();
        CHECK_FALSE(passes(datagram));
    }
    CHECK(accepted > 0);
}

TEST_CASE("the client flag is added to the outermost map and to nothing else") {
    for (const Recorded& one : recorded) {
        const Bytes plain = unhex(one.hex);
        const auto before = guard_datagram(plain, recorded_network);
        if (before->from_client) continue;
        CAPTURE(one.name);
        Bytes flagged;
        REQUIRE(flag_as_client(plain, flagged));
        CHECK(flagged.size() == plain.size() + 3);
        const auto facts = guard_datagram(flagged, recorded_network);
        REQUIRE(facts.has_value());
        CHECK(facts->from_client);
        CHECK(facts->kind == one.kind);
    }
}

TEST_CASE("the client flag turns a map of 15 into a map of 16 and refuses what is no map") {
    Bytes flagged;
    REQUIRE(flag_as_client(Bytes{0x8f, 1, 2}, flagged));
    CHECK(flagged == Bytes{0xde, 0, 16, 0xa1, 's', 0xc3, 1, 2});
    REQUIRE(flag_as_client(Bytes{0xde, 0, 16, 9}, flagged));
    CHECK(flagged == Bytes{0xde, 0, 17, 0xa1, 's', 0xc3, 9});
    CHECK_FALSE(flag_as_client({}, flagged));
    CHECK_FALSE(flag_as_client(Bytes{0x90}, flagged));
    CHECK_FALSE(flag_as_client(Bytes{0xde, 0}, flagged));
    CHECK_FALSE(flag_as_client(Bytes{0xde, 0xff, 0xff}, flagged));
}
