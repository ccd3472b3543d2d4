// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/own_addresses.hpp"

#include <doctest/doctest.h>

#include <string_view>

#include <flow29/limits.hpp>

namespace flow29::node {
namespace {

core::Endpoint at(std::string_view text) {
    return core::Endpoint::parse(text).value();
}

using Endpoints = std::vector<core::Endpoint>;

OwnAddresses anywhere() {
    return OwnAddresses({at("0.0.0.0:2929"), at("[::]:2929")});
}

TEST_CASE("a node that listens on all addresses knows those at which it was seen, of each family") {
    auto own = anywhere();
    CHECK(own.all().empty());
    own.on_observed(at("[2001:db8::1]:40000"));
    CHECK(own.all() == Endpoints{at("[2001:db8::1]:2929")});
    own.on_observed(at("203.0.113.7:50000"));
    CHECK(own.all() == Endpoints{at("203.0.113.7:2929"), at("[2001:db8::1]:2929")});
}

TEST_CASE("what is seen of a family that is not listened on counts for nothing") {
    OwnAddresses own({at("0.0.0.0:2929")});
    own.on_observed(at("[2001:db8::1]:40000"));
    CHECK(own.all().empty());
    CHECK(own.port(true) == 2929);
    CHECK(own.port(false) == 0);
}

TEST_CASE("addresses that were given stand as they are, and for their family alone") {
    OwnAddresses own({at("[2001:db8::1]:2929"), at("0.0.0.0:2929")});
    own.on_observed(at("[2001:db8::2]:40000"));
    CHECK(own.all() == Endpoints{at("[2001:db8::1]:2929")});
    own.on_observed(at("203.0.113.7:40000"));
    CHECK(own.all() == Endpoints{at("[2001:db8::1]:2929"), at("203.0.113.7:2929")});
}

TEST_CASE("what the gateway gave stands for what was seen by IPv4") {
    auto own = anywhere();
    own.on_observed(at("203.0.113.7:40000"));
    own.on_observed(at("[2001:db8::1]:40000"));
    own.on_mapped(at("203.0.113.7:1234"));
    CHECK(own.all() == Endpoints{at("203.0.113.7:1234"), at("[2001:db8::1]:2929")});
    CHECK(own.port(true) == 1234);
    CHECK(own.port(false) == 2929);
    own.on_mapped(std::nullopt);
    CHECK(own.all() == Endpoints{at("203.0.113.7:2929"), at("[2001:db8::1]:2929")});
}

TEST_CASE("a wider view of a node replaces a narrower one, in its family") {
    auto own = anywhere();
    own.on_observed(at("10.0.0.7:40000"));
    own.on_observed(at("[fe80::7%2]:40000"));
    CHECK(own.all() == Endpoints{at("10.0.0.7:2929"), at("[fe80::7%2]:2929")});
    own.on_observed(at("[2001:db8::1]:40000"));
    own.on_observed(at("203.0.113.7:40000"));
    own.on_observed(at("10.0.0.8:40000"));
    own.on_observed(at("[fd00::7]:40000"));
    CHECK(own.all() == Endpoints{at("203.0.113.7:2929"), at("[2001:db8::1]:2929")});
}

TEST_CASE("an address of one link comes last, whatever was listed first") {
    OwnAddresses own({at("[::]:2929"), at("0.0.0.0:2929")});
    own.on_observed(at("[fe80::7%2]:40000"));
    own.on_observed(at("10.0.0.7:40000"));
    CHECK(own.all() == Endpoints{at("10.0.0.7:2929"), at("[fe80::7%2]:2929")});
}

TEST_CASE("no more addresses than a record may have") {
    Endpoints many;
    for (unsigned i = 0; i <= limits::addresses_per_record_max; ++i) {
        many.push_back(at("192.0.2.1:2929"));
        many.back().address.back() = static_cast<std::uint8_t>(i + 1);
    }
    CHECK(OwnAddresses(many).all().size() == limits::addresses_per_record_max);
    many.pop_back();
    CHECK(OwnAddresses(many).all() == many);
}

}  // namespace
}  // namespace flow29::node
