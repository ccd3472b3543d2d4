// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/lan_sources.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace flow29;
using net::InterfaceAddress;

namespace {

core::Endpoint at(const std::string& host) {
    return core::Endpoint::parse(host + ":0").value();
}

using Addresses = std::vector<InterfaceAddress>;

/// Two interfaces that have everything, and one that has its link alone.
Addresses own_addresses() {
    return {{at("10.29.1.1"), 2},   {at("192.0.2.1"), 2},   {at("169.254.3.4"), 2},
            {at("192.168.1.1"), 3}, {at("[fe80::1%2]"), 2}, {at("[2001:db8:0:1::1]"), 2},
            {at("[fd29::1]"), 2},   {at("[fd30::1]"), 3},   {at("[fe80::1%3]"), 3},
            {at("[fe80::1%4]"), 4}};
}

}  // namespace

TEST_CASE("a node calls from its private IPv4 addresses") {
    CHECK(net::lan_sources(own_addresses(), {at("0.0.0.0")}) ==
          Addresses{{at("10.29.1.1"), 2}, {at("192.168.1.1"), 3}});
    CHECK(net::lan_sources(own_addresses(), {at("192.168.1.1")}) ==
          Addresses{{at("192.168.1.1"), 3}});
    CHECK(net::lan_sources(own_addresses(), {at("192.0.2.1")}).empty());
    CHECK(net::lan_sources(own_addresses(), {}).empty());
}

TEST_CASE("of each interface a node calls from one IPv6 address, that of the link if need be") {
    CHECK(net::lan_sources(own_addresses(), {at("[::]")}) ==
          Addresses{{at("[2001:db8:0:1::1]"), 2}, {at("[fd30::1]"), 3}, {at("[fe80::1%4]"), 4}});
    // What it does not listen on is of no use to those who hear it.
    CHECK(net::lan_sources(own_addresses(), {at("[fd29::1]")}) == Addresses{{at("[fd29::1]"), 2}});
    CHECK(net::lan_sources(own_addresses(), {at("[fe80::1%2]")}) ==
          Addresses{{at("[fe80::1%2]"), 2}});
    CHECK(net::lan_sources(own_addresses(), {at("[fe80::1]")}).empty());
    CHECK(net::lan_sources(own_addresses(), {at("[::1]")}).empty());
    auto both = net::lan_sources(own_addresses(), {at("[::]"), at("0.0.0.0")});
    CHECK(both.size() == 5);
}

TEST_CASE("who called is dialled at a private address or one of a subnet of ours, nowhere else") {
    for (const char* near :
         {"10.29.1.7", "192.168.9.9", "[fe80::7%2]", "[fd29::7]", "[fd99::1]", "[2001:db8:0:1::7]"})
        CHECK(net::is_on_lan(at(near), own_addresses()));
    for (const char* far :
         {"192.0.2.7", "[2001:db8:0:2::7]", "[2001:db9:0:1::7]", "127.0.0.1", "[::1]"})
        CHECK_FALSE(net::is_on_lan(at(far), own_addresses()));
}
