// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/lan_heard.hpp"

#include <doctest/doctest.h>

#include <string>

#include <flow29/limits.hpp>

using namespace flow29;
using net::LanHeard;

namespace {

core::LanNonce nonce_of(std::size_t number) {
    core::LanNonce nonce;
    nonce.bytes[0] = static_cast<std::uint8_t>(number);
    nonce.bytes[1] = static_cast<std::uint8_t>(number >> 8U);
    return nonce;
}

core::Endpoint node(std::size_t number) {
    return core::Endpoint::parse("10.29." + std::to_string(number / 256) + "." +
                                 std::to_string(number % 256) + ":2929")
        .value();
}

}  // namespace

TEST_CASE("somebody on the LAN is news once, and this node is none to itself") {
    LanHeard heard;
    heard.on_called(nonce_of(1));
    CHECK_FALSE(heard.on_heard(nonce_of(1), node(1)));
    CHECK(heard.on_heard(nonce_of(2), node(1)));
    CHECK_FALSE(heard.on_heard(nonce_of(3), node(1)));
    CHECK(heard.on_heard(nonce_of(3), node(2)));
    CHECK(heard.remembered() == 2);
}

TEST_CASE("so many nodes of a LAN are remembered, with one more all others are forgotten") {
    LanHeard heard;
    for (std::size_t i = 0; i < limits::lan_nodes_max; ++i)
        REQUIRE(heard.on_heard(nonce_of(1), node(i)));
    CHECK_FALSE(heard.on_heard(nonce_of(1), node(0)));
    CHECK(heard.remembered() == limits::lan_nodes_max);
    CHECK(heard.on_heard(nonce_of(1), node(limits::lan_nodes_max)));
    CHECK(heard.remembered() == 1);
    CHECK(heard.on_heard(nonce_of(1), node(0)));
}

TEST_CASE("of its own calls a node knows so many again, and no longer the one before") {
    LanHeard heard;
    for (std::size_t i = 0; i <= limits::lan_calls_max; ++i)
        heard.on_called(nonce_of(i));
    for (std::size_t i = 1; i <= limits::lan_calls_max; ++i)
        CHECK_FALSE(heard.on_heard(nonce_of(i), node(i)));
    CHECK(heard.on_heard(nonce_of(0), node(0)));
}
