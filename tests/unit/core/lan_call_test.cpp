// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lan_call.hpp"

#include <algorithm>

#include <doctest/doctest.h>

using namespace flow29;
using core::LanCall;
using core::LanCaller;

namespace {

LanCall sample(std::uint8_t first, std::uint16_t port = 2929) {
    LanCall call;
    call.nonce.bytes.fill(first);
    call.port = port;
    return call;
}

core::SwarmKey key_of(std::uint8_t octet) {
    core::SwarmKey key;
    key.bytes.fill(octet);
    return key;
}

}  // namespace

TEST_CASE("a call on the LAN is understood by members of the swarm and by nobody else") {
    const LanCaller ours(key_of(1), 29);
    const auto raw = ours.encode(sample(7));
    CHECK(ours.decode(raw) == sample(7));
    CHECK(LanCaller(key_of(1), 30).decode(raw) == sample(7));  // the key says which swarm
    CHECK_FALSE(LanCaller(key_of(2), 29).decode(raw));
    CHECK_FALSE(LanCaller(std::nullopt, 29).decode(raw));
    const LanCaller everybodys(std::nullopt, 29);
    CHECK(everybodys.decode(everybodys.encode(sample(7))) == sample(7));
    CHECK_FALSE(LanCaller(std::nullopt, 30).decode(everybodys.encode(sample(7))));
    CHECK_FALSE(ours.decode(everybodys.encode(sample(7))));
}

TEST_CASE("two calls of one swarm have nothing in common that tells which it is") {
    const LanCaller ours(key_of(1), 29);
    const auto one = ours.encode(sample(7));
    const auto other = ours.encode(sample(8));
    REQUIRE(one.size() == 39);
    const auto tail = [](const Bytes& raw) { return Bytes(raw.end() - 16, raw.end()); };
    CHECK(tail(one) != tail(other));
    const auto key = key_of(1);
    CHECK(std::search(one.begin(), one.end(), key.bytes.begin(), key.bytes.begin() + 4) ==
          one.end());
}

TEST_CASE("a call with a changed, missing or further octet is none, nor one with port 0") {
    const LanCaller ours(key_of(1), 29);
    const auto raw = ours.encode(sample(7));
    for (std::size_t i = 0; i < raw.size(); ++i) {
        auto changed = raw;
        changed[i] ^= 1;
        CHECK_FALSE(ours.decode(changed));
        CHECK_FALSE(ours.decode(ByteView(raw).first(i)));
    }
    auto longer = raw;
    longer.push_back(0);
    CHECK_FALSE(ours.decode(longer));
    CHECK_FALSE(ours.decode(ours.encode(sample(7, 0))));
}
