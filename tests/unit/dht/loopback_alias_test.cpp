// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/loopback_alias.hpp"

#include <doctest/doctest.h>

#include <flow29/ids.hpp>

using namespace flow29;
using namespace flow29::dht;

namespace {

core::Endpoint at(const char* text) {
    return core::Endpoint::parse(text).value();
}

}  // namespace

TEST_CASE("a loopback address and its alias are each other's image") {
    CHECK(alias_of_loopback(at("127.0.0.1:2929")) == at("198.18.0.1:2929"));
    CHECK(alias_of_loopback(at("127.0.7.9:1")) == at("198.18.7.9:1"));
    CHECK(loopback_of_alias(at("198.18.7.9:1")) == at("127.0.7.9:1"));
}

TEST_CASE("addresses outside 127.0.0.0/16 have no alias") {
    for (const char* other : {"127.1.0.1:1", "198.18.0.1:1", "10.0.0.1:1", "[::1]:1"})
        CHECK(alias_of_loopback(at(other)) == at(other));
    for (const char* other : {"127.0.0.1:1", "198.19.0.1:1", "[::1]:1", "[2001:db8::1]:1"})
        CHECK(loopback_of_alias(at(other)) == at(other));
}

TEST_CASE("packed contacts are renamed one by one and a broken last one is left alone") {
    Bytes contacts(2 * 26 + 25);
    const auto put = [&contacts](std::size_t index, std::uint8_t a, std::uint8_t b) {
        contacts[index * 26 + 20] = a;
        contacts[index * 26 + 21] = b;
    };
    put(0, 127, 0);
    put(1, 10, 0);
    put(2, 127, 0);
    const Bytes before = contacts;
    alias_contacts(contacts);
    CHECK(contacts[20] == 198);
    CHECK(contacts[21] == 18);
    CHECK(contacts[26 + 20] == 10);
    CHECK(contacts[52 + 20] == 127);
    reveal_contacts(contacts);
    CHECK(contacts == before);
}
