// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/endpoint.hpp"
#include "core/link_local.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <unordered_set>

using namespace flow29;
using namespace flow29::core;

namespace {

Endpoint endpoint(std::string_view text) {
    const auto parsed = Endpoint::parse(text);
    if (!parsed) FAIL(parsed.error().message());
    return *parsed;
}

std::string complaint(std::string_view text) {
    const auto parsed = Endpoint::parse(text);
    if (parsed) return "accepted as " + parsed->to_string();
    CHECK(parsed.error().code == Errc::usage);
    return parsed.error().message();
}

}  // namespace

TEST_CASE("endpoints read back as they are written") {
    for (const char* text : {"192.0.2.1:2929", "0.0.0.0:0", "255.255.255.255:65535", "127.0.0.1:1",
                             "[2001:db8::1]:2929", "[::]:0", "[::1]:65535", "[fe80::1:2]:80",
                             "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1"})
        CHECK(endpoint(text).to_string() == text);
}

TEST_CASE("an address of one link says on which, to this machine alone") {
    const auto there = endpoint("[fe80::1:2%3]:80");
    CHECK(there.to_string() == "[fe80::1:2%3]:80");
    CHECK(there.host() == "fe80::1:2%3");
    CHECK(is_link_local(there));
    CHECK(zone_of(there) == 3);
    CHECK(there != endpoint("[fe80::1:2]:80"));
    CHECK(there != endpoint("[fe80::1:2%4]:80"));
    CHECK(with_zone(there, 0) == endpoint("[fe80::1:2]:80"));
    CHECK(zone_of(endpoint("[fe80::1%4294967295]:1")) == 4294967295U);

    const auto octets = there.octets();
    CHECK(octets == endpoint("[fe80::1:2]:80").octets());
    CHECK(Endpoint::from_octets(octets, 80).value() == endpoint("[fe80::1:2]:80"));
    auto forged = octets;
    forged[7] = 3;
    CHECK(zone_of(Endpoint::from_octets(forged, 80).value()) == 0);
    CHECK(there.group() == endpoint("[fe80::9]:1").group());

    CHECK(as_named_by(there, endpoint("[fe80::9]:1")) == endpoint("[fe80::9%3]:1"));
    CHECK(as_named_by(there, endpoint("[fe80::9%4]:1")) == endpoint("[fe80::9%4]:1"));
    for (const char* other : {"[2001:db8::1]:80", "192.0.2.1:80", "[fec0::1]:80", "[::1]:80"}) {
        CHECK_FALSE(is_link_local(endpoint(other)));
        CHECK(with_zone(endpoint(other), 7) == endpoint(other));
        CHECK(as_named_by(there, endpoint(other)) == endpoint(other));
        CHECK(as_named_by(endpoint(other), endpoint("[fe80::9]:1")) == endpoint("[fe80::9]:1"));
    }
}

TEST_CASE("one address has one form") {
    CHECK(endpoint("[::ffff:192.0.2.1]:80") == endpoint("192.0.2.1:80"));
    CHECK(endpoint("[2001:DB8:0:0:0:0:0:1]:80") == endpoint("[2001:db8::1]:80"));
    CHECK(endpoint("192.0.2.1:00080") == endpoint("192.0.2.1:80"));
    CHECK(endpoint("192.0.2.1:80") != endpoint("192.0.2.1:81"));
    CHECK(endpoint("192.0.2.1:80").host() == "192.0.2.1");
    CHECK(endpoint("[2001:db8::1]:80").host() == "2001:db8::1");
}

TEST_CASE("a malformed endpoint is refused with what is wrong") {
    CHECK(complaint("") == "the address is empty");
    CHECK(complaint("192.0.2.1") == "address \"192.0.2.1\" lacks a port: write address:port");
    CHECK(complaint("192.0.2.1:") == "the port is missing after the colon");
    CHECK(complaint("192.0.2.1:70000") == "port 70000 is above 65535");
    CHECK(complaint("192.0.2.1:65536") == "port 65536 is above 65535");
    CHECK(complaint("192.0.2.1:99999999999999999999999") ==
          "port 99999999999999999999 is above 65535");
    CHECK(complaint("192.0.2.1:-1") == "port \"-1\" is not a number");
    CHECK(complaint("192.0.2.1:+1") == "port \"+1\" is not a number");
    CHECK(complaint("192.0.2.1: 1") == "port \" 1\" is not a number");
    CHECK(complaint("192.0.2.1:80x") == "port \"80x\" is not a number");
    CHECK(complaint("192.0.2.256:80") == "\"192.0.2.256\" is not an IPv4 address");
    CHECK(complaint("192.0.2:80") == "\"192.0.2\" is not an IPv4 address");
    CHECK(complaint("example.org:80") == "\"example.org\" is not an IPv4 address");
    CHECK(complaint(":80") == "\"\" is not an IPv4 address");
    for (const char* zone : {"", "0", "eth0", "-1", "1x", "4294967296"})
        CHECK(complaint("[fe80::1%" + std::string(zone) + "]:80") ==
              "\"" + std::string(zone) + "\" is not the number of an interface");
    CHECK(complaint("[2001:db8::1%2]:80") == "\"2001:db8::1\" is of no one link, and has no \"%\"");
    CHECK(complaint("10.0.0.1%2:80") == "\"10.0.0.1%2\" is not an IPv4 address");
    CHECK(complaint("[]:80") == "\"\" is not an IPv6 address");
    CHECK(complaint("[192.0.2.1]:80") == "\"192.0.2.1\" is not an IPv6 address");
    CHECK(complaint("[::1:80") == "address \"[::1:80\" lacks the closing bracket");
    CHECK(complaint("[::1]") == "address \"[::1]\" lacks a port: write [address]:port");
    CHECK(complaint("[::1]80") == "address \"[::1]80\" lacks a port: write [address]:port");
    CHECK(complaint("2001:db8::1:80") ==
          "IPv6 address \"2001:db8::1:80\" needs brackets and a port: write [address]:port");
}

TEST_CASE("a NUL or a very long text is refused in a short line") {
    using namespace std::string_view_literals;
    CHECK(complaint("192.0.2.1\0x:80"sv).ends_with("is not an IPv4 address"));
    CHECK(complaint("192.0.2.1:80\0"sv).ends_with("is not a number"));
    CHECK(complaint(std::string(100'000, 'a')).size() < 200);
    CHECK(complaint(std::string(100'000, 'a') + ":80").size() < 200);
    CHECK(complaint("192.0.2.1:" + std::string(100'000, '9')).size() < 200);
}

TEST_CASE("octets read back, four for IPv4 and sixteen for IPv6") {
    const Bytes four{192, 0, 2, 1};
    const auto v4 = Endpoint::from_octets(four, 2929);
    REQUIRE(v4.has_value());
    CHECK(*v4 == endpoint("192.0.2.1:2929"));
    CHECK(v4->octets() == four);
    CHECK(v4->is_v4());

    Bytes sixteen(16, 0);
    sixteen[0] = 0x20;
    sixteen[15] = 9;
    const auto v6 = Endpoint::from_octets(sixteen, 1);
    REQUIRE(v6.has_value());
    CHECK(v6->octets() == sixteen);
    CHECK_FALSE(v6->is_v4());

    const ByteView mapped(v4->address);
    CHECK(Endpoint::from_octets(mapped, 2929).value() == *v4);
}

TEST_CASE("octets of another number are refused") {
    for (const std::size_t count : std::initializer_list<std::size_t>{0, 1, 3, 5, 15, 17, 100}) {
        const auto refused = Endpoint::from_octets(Bytes(count), 1);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == Errc::usage);
    }
}

TEST_CASE("loopback and unspecified addresses are recognised") {
    CHECK(endpoint("127.0.0.1:1").is_loopback());
    CHECK(endpoint("127.255.255.255:1").is_loopback());
    CHECK(endpoint("[::1]:1").is_loopback());
    CHECK_FALSE(endpoint("126.255.255.255:1").is_loopback());
    CHECK_FALSE(endpoint("128.0.0.0:1").is_loopback());
    CHECK_FALSE(endpoint("[::2]:1").is_loopback());
    CHECK_FALSE(endpoint("[7f00::1]:1").is_loopback());

    CHECK(endpoint("0.0.0.0:1").is_unspecified());
    CHECK(endpoint("[::]:1").is_unspecified());
    CHECK(endpoint("192.0.2.1:0").is_unspecified());
    CHECK(Endpoint{}.is_unspecified());
    CHECK_FALSE(endpoint("0.0.0.1:1").is_unspecified());
    CHECK_FALSE(endpoint("[::1]:1").is_unspecified());
}

TEST_CASE("an address group is a /24 or a /48, whatever the port") {
    const auto group = [](std::string_view text) { return endpoint(text).group(); };
    CHECK(group("192.0.2.1:1") == group("192.0.2.255:9"));
    CHECK(group("192.0.2.1:1") != group("192.0.3.1:1"));
    CHECK(group("[2001:db8:1:2::1]:1") == group("[2001:db8:1:3::9]:1"));
    CHECK(group("[2001:db8:1::]:1") != group("[2001:db8:2::]:1"));
    CHECK(group("0.0.0.0:1") != group("[::]:1"));
    CHECK_FALSE(group("0.0.0.0:1").is_zero());
}

TEST_CASE("endpoints work as keys of a hash table") {
    std::unordered_set<Endpoint> seen;
    for (unsigned i = 0; i < 1000; ++i) {
        const Bytes octets{10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
        seen.insert(*Endpoint::from_octets(octets, 1));
        seen.insert(*Endpoint::from_octets(octets, 2));
    }
    CHECK(seen.size() == 2000);
    std::unordered_set<std::size_t> hashes;
    for (const Endpoint& one : seen)
        hashes.insert(std::hash<Endpoint>{}(one));
    CHECK(hashes.size() > 1990);
}
