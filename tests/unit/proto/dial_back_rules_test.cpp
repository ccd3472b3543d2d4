// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/dial_back_rules.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

using namespace flow29;
using namespace std::chrono_literals;
using proto::DialBackRules;

namespace {

core::Endpoint host(std::size_t number, unsigned port = 2929) {
    return core::Endpoint::parse(
               fmt::format("10.{}.{}.{}:{}", number >> 16, number >> 8 & 255, number & 255, port))
        .value();
}

constexpr TimePoint start{1h};

}  // namespace

TEST_CASE("so many are dialled at the same time, and one more when one has ended") {
    DialBackRules rules;
    for (std::size_t i = 0; i < limits::dial_backs_max; ++i)
        CHECK(rules.begin(host(i), start));
    CHECK_FALSE(rules.begin(host(100), start));
    rules.end();
    CHECK(rules.begin(host(100), start));
}

TEST_CASE("a host rests before it is dialled again, whatever the port") {
    DialBackRules rules;
    CHECK(rules.begin(host(1), start));
    rules.end();
    CHECK_FALSE(rules.begin(host(1, 22), start + DialBackRules::rest - 1ms));
    CHECK(rules.begin(host(2), start));
    rules.end();
    CHECK(rules.begin(host(1, 22), start + DialBackRules::rest));
}

TEST_CASE("so many hosts are remembered, and nobody new is dialled until some have rested") {
    DialBackRules rules;
    for (std::size_t i = 0; i < limits::dial_back_hosts_max; ++i) {
        REQUIRE(rules.begin(host(i), start));
        rules.end();
    }
    CHECK_FALSE(rules.begin(host(70'000), start));
    CHECK(rules.remembered() == limits::dial_back_hosts_max);
    CHECK(rules.begin(host(70'000), start + DialBackRules::rest));
    CHECK(rules.remembered() == 1);
}
