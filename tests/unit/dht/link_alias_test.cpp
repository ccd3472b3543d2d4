// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/link_alias.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include <flow29/ids.hpp>

using namespace flow29;
using namespace flow29::dht;

namespace {

constexpr std::size_t contact = 38;
constexpr std::size_t address_at = 20;

core::Endpoint at(const char* text) {
    return core::Endpoint::parse(text).value();
}

void put(Bytes& contacts, std::size_t index, const core::Endpoint& endpoint) {
    std::ranges::copy(endpoint.address,
                      contacts.begin() + static_cast<std::ptrdiff_t>(index * contact + address_at));
    contacts[index * contact + 37] = 1;
}

core::Endpoint read(const Bytes& contacts, std::size_t index) {
    core::Endpoint endpoint;
    std::copy_n(contacts.begin() + static_cast<std::ptrdiff_t>(index * contact + address_at), 16,
                endpoint.address.begin());
    endpoint.port = contacts[index * contact + 37];
    return endpoint;
}

}  // namespace

TEST_CASE("an address of a link and its alias are each other's image, whatever the link") {
    CHECK(alias_of_link_local(at("[fe80::1:2%3]:80")) == at("[fdf1:a529:0:3::1:2]:80"));
    for (const char* own : {"[fe80::1:2%3]:80", "[fe80::1:2%65537]:80", "[fe80::%4294967295]:1"})
        CHECK(link_local_of_alias(alias_of_link_local(at(own))) == at(own));
}

TEST_CASE("addresses that are of no known link have no alias") {
    for (const char* other : {"[fe80::1]:1", "[febf::1%2]:1", "[fd00::1]:1", "[2001:db8::1]:1",
                              "[::1]:1", "10.0.0.1:1", "254.128.0.0:1"}) {
        CHECK(alias_of_link_local(at(other)) == at(other));
        CHECK(link_local_of_alias(at(other)) == at(other));
    }
}

TEST_CASE("contacts that a neighbour names are on its link, and leave without it") {
    Bytes contacts(3 * contact + 37);
    put(contacts, 0, at("[fe80::1]:1"));
    put(contacts, 1, at("[2001:db8::1]:1"));
    put(contacts, 2, at("[fe80::2]:1"));
    const Bytes before = contacts;
    alias_link_contacts(contacts, at("[fe80::9%5]:1"));
    CHECK(link_local_of_alias(read(contacts, 0)) == at("[fe80::1%5]:1"));
    CHECK(read(contacts, 1) == at("[2001:db8::1]:1"));
    CHECK(link_local_of_alias(read(contacts, 2)) == at("[fe80::2%5]:1"));
    reveal_link_contacts(contacts);
    CHECK(contacts == before);
}

TEST_CASE("nobody but a neighbour names addresses of a link, and nobody names an alias") {
    Bytes contacts(2 * contact);
    put(contacts, 0, at("[fe80::1]:1"));
    put(contacts, 1, at("[fdf1:a529:0:3::1:2]:1"));
    for (const char* from : {"[2001:db8::9]:1", "[fe80::9]:1", "10.0.0.9:1"}) {
        auto named = contacts;
        alias_link_contacts(named, at(from));
        CHECK(read(named, 0) == at("[fe80::1]:1"));
        CHECK(read(named, 1).port == 0);
    }
}
