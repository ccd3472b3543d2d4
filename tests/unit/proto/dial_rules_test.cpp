// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/dial_rules.hpp"

#include <flow29/limits.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace flow29;
using namespace std::chrono_literals;
using proto::DialRules;

namespace {

core::Endpoint at(const std::string& text) {
    return core::Endpoint::parse(text).value();
}

DhtKey somebody(std::uint8_t number) {
    DhtKey key;
    key.bytes[0] = number;
    return key;
}

constexpr TimePoint start{1h};

}  // namespace

TEST_CASE("an address where nobody answers rests twice as long each time") {
    DialRules rules;
    const DialRules::Target target{at("192.0.2.1:2929"), std::nullopt, false};
    CHECK(rules.may_dial(target, start));
    auto now = start;
    Duration rest = DialRules::rest_min;
    for (int i = 0; i < 12; ++i) {
        rules.on_no_answer(target, now);
        CHECK_FALSE(rules.may_dial(target, now + rest - 1ms));
        now += rest;
        CHECK(rules.may_dial(target, now));
        rest = std::min(rest * 2, DialRules::rest_max);
    }
    rules.on_no_answer(target, now);
    rules.on_answered(target.endpoint);
    CHECK(rules.may_dial(target, now));
}

TEST_CASE("who is alone does not let an address rest for long") {
    DialRules rules;
    const DialRules::Target target{at("192.0.2.1:2929"), somebody(1), true};
    auto now = start;
    for (int i = 0; i < 8; ++i) {
        rules.on_no_answer(target, now);
        now += DialRules::rest_max;
    }
    rules.on_no_answer(target, now);
    CHECK_FALSE(rules.may_dial(target, now + DialRules::rest_alone_max));
    CHECK_FALSE(rules.may_dial(target, now + DialRules::rest_alone_max - 1ms, true));
    CHECK(rules.may_dial(target, now + DialRules::rest_alone_max, true));
    // A short rest is no longer by it, and who does not want this node is left in peace.
    rules.on_answered(target.endpoint);
    rules.on_no_answer(target, now);
    CHECK(rules.may_dial(target, now + DialRules::rest_min, true));
    for (int i = 0; i < 8; ++i)
        rules.on_somebody_else(target, now);
    CHECK_FALSE(rules.may_dial(target, now + DialRules::rest_alone_max, true));
}

TEST_CASE("an address was silent until somebody answers there, however long it has rested") {
    DialRules rules;
    const auto address = at("192.0.2.1:2929");
    CHECK_FALSE(rules.was_silent(address));
    rules.on_somebody_else({address, somebody(1), true}, start);
    CHECK_FALSE(rules.was_silent(address));
    rules.on_no_answer({address, somebody(1), true}, start);
    CHECK(rules.may_dial({address, somebody(2), true}, start + 1h));
    CHECK(rules.was_silent(address));
    rules.on_answered(address);
    CHECK_FALSE(rules.was_silent(address));
}

TEST_CASE("who is not where he was said to be does not keep others from being there") {
    DialRules rules;
    const auto address = at("192.0.2.1:2929");
    rules.on_somebody_else({address, somebody(1), true}, start);
    CHECK_FALSE(rules.may_dial({address, somebody(1), true}, start));
    CHECK(rules.may_dial({address, somebody(2), true}, start));
    CHECK(rules.may_dial({address, std::nullopt, false}, start));
    CHECK(rules.may_dial({address, somebody(1), true}, start + DialRules::rest_min));
}

TEST_CASE("where a node ends each connection at once it is dialled ever more rarely") {
    DialRules rules;
    const DialRules::Target target{at("192.0.2.1:2929"), somebody(1), false};
    const auto too_soon = DialRules::settling - 1ns;
    auto now = start;
    Duration rest = DialRules::rest_min;
    for (int i = 0; i < 12; ++i) {
        CHECK(rules.on_ended(target, too_soon, now));
        rules.on_answered(target.endpoint);  // as it did
        CHECK_FALSE(rules.may_dial(target, now + rest - 1ns));
        now += rest;
        CHECK(rules.may_dial(target, now));
        rest = std::min(rest * 2, DialRules::rest_max);
    }
    // Others may be there, and nobody is said to be silent.
    CHECK(rules.on_ended(target, too_soon, now));
    CHECK(rules.may_dial({target.endpoint, somebody(2), false}, now));
    CHECK(rules.may_dial({target.endpoint, std::nullopt, false}, now));
    CHECK_FALSE(rules.was_silent(target.endpoint));
    // One that lasts makes it forgotten.
    CHECK_FALSE(rules.on_ended(target, DialRules::settling, now));
    CHECK(rules.may_dial(target, now));
    CHECK(rules.on_ended(target, too_soon, now));
    CHECK(rules.may_dial(target, now + DialRules::rest_min));
}

TEST_CASE("nobody names what is narrower than his own address") {
    const auto loopback = at("127.0.0.1:1");
    const auto home = at("192.168.1.7:1");
    const auto world = at("198.51.100.7:1");
    for (const auto& target : {loopback, home, world})
        CHECK(DialRules::may_name(loopback, target));
    CHECK_FALSE(DialRules::may_name(home, loopback));
    CHECK(DialRules::may_name(home, at("10.1.2.3:1")));
    CHECK(DialRules::may_name(home, world));
    CHECK_FALSE(DialRules::may_name(world, loopback));
    CHECK_FALSE(DialRules::may_name(world, home));
    CHECK_FALSE(DialRules::may_name(world, at("169.254.169.254:80")));
    CHECK_FALSE(DialRules::may_name(world, at("[::1]:1")));
    CHECK_FALSE(DialRules::may_name(world, at("[fd00::1]:1")));
    CHECK_FALSE(DialRules::may_name(world, at("[fe80::1]:1")));
    CHECK(DialRules::may_name(world, at("[2001:db8::1]:1")));
    const auto neighbour = at("[fe80::1%2]:1");
    CHECK(DialRules::may_name(neighbour, at("[fe80::2]:1")));
    CHECK(DialRules::may_name(neighbour, home));
    CHECK(DialRules::may_name(neighbour, world));
    CHECK_FALSE(DialRules::may_name(neighbour, loopback));
    CHECK_FALSE(DialRules::may_name(home, neighbour));
}

TEST_CASE("lists of made-up addresses do not make their reader scan a host") {
    DialRules rules;
    unsigned tried = 0;
    for (unsigned port = 1; port <= 1000; ++port) {
        const DialRules::Target target{at("192.0.2.1:" + std::to_string(port)), somebody(1), true};
        if (!rules.may_dial(target, start)) continue;
        ++tried;
        rules.on_no_answer(target, start);
    }
    CHECK(tried == DialRules::failures_per_host_max);
    // Not so what this node knows by itself, nor other hosts; and not for ever.
    CHECK(rules.may_dial({at("192.0.2.1:2000"), std::nullopt, false}, start));
    CHECK(rules.may_dial({at("192.0.2.2:1"), somebody(1), true}, start));
    CHECK(
        rules.may_dial({at("192.0.2.1:2000"), somebody(1), true}, start + DialRules::host_period));
}

TEST_CASE("what is remembered of addresses is bounded") {
    DialRules rules;
    for (unsigned i = 0; i < 3 * limits::dials_remembered_max; ++i) {
        const auto host = std::to_string(i / 65'536) + "." + std::to_string(i / 256 % 256) + "." +
                          std::to_string(i % 256);
        rules.on_no_answer({at("10." + host + ":1"), somebody(1), true}, start);
    }
    CHECK(rules.remembered() <= 2 * limits::dials_remembered_max);
}
