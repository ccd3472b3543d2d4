// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/seal.hpp"

#include <flow29/limits.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace flow29::core {
namespace {

using namespace std::chrono_literals;

const WallTime now = from_unix_ms(1'790'000'000'000);

Endpoint at(std::string_view text) {
    return Endpoint::parse(text).value();
}
const Endpoint here = at("192.0.2.1:2929");

/// A member's two ends.
struct Member {
    explicit Member(const SwarmKey& key, std::string_view purpose = "test",
                    std::optional<WallTime> since = std::nullopt)
        : sealer(key, purpose), opener(key, purpose, since) {}

    Bytes seal(ByteView plain, const Endpoint& to = here, WallTime when = now) {
        Bytes out;
        sealer.seal(plain, to, when, out);
        return out;
    }
    bool opens(ByteView sealed, const Endpoint& local = here, WallTime when = now) {
        return opener.open(sealed, local, when, payload);
    }

    Sealer sealer;
    Opener opener;
    Bytes payload;
};

const Bytes message{'h', 'o', 'l', 'i', 'd', 'a', 'y'};

TEST_CASE("on which link an address is does not matter to those who talk on it") {
    const SwarmKey key = new_swarm_key();
    Member a(key), b(key);
    CHECK(b.opens(a.seal(message, at("[fe80::1%2]:2929")), at("[fe80::1%7]:2929")));
    CHECK_FALSE(b.opens(a.seal(message, at("[fe80::1%2]:2929")), at("[fe80::2%2]:2929")));
}

TEST_CASE("what a member seals another opens, whatever its length") {
    const SwarmKey key = new_swarm_key();
    Member a(key), b(key);
    for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 559U, 1500U}) {
        const Bytes plain(size, 0x2a);
        const Bytes sealed = a.seal(plain);
        CHECK(sealed.size() == size + seal_overhead);
        REQUIRE(b.opens(sealed));
        CHECK(b.payload == plain);
    }
    CHECK(b.opener.senders() == 1);
}

TEST_CASE("nothing of a message is seen in what is sealed, and equal ones do not look alike") {
    Member a(new_swarm_key());
    const Bytes first = a.seal(message), second = a.seal(message);
    CHECK(std::ranges::search(first, message).empty());
    CHECK(std::ranges::search(first, ByteView(here.address).last(4)).empty());
    CHECK_FALSE(std::ranges::equal(ByteView(first).subspan(16), ByteView(second).subspan(16)));
}

TEST_CASE("a message of another key or purpose is not opened") {
    const SwarmKey key = new_swarm_key();
    Member a(key), stranger(new_swarm_key()), other(key, "other purpose");
    const Bytes sealed = a.seal(message);
    CHECK_FALSE(stranger.opens(sealed));
    CHECK_FALSE(other.opens(sealed));
    CHECK(stranger.opener.senders() == 0);
}

TEST_CASE("a message with any bit flipped, any octet cut off or one too many is not opened") {
    const SwarmKey key = new_swarm_key();
    Member a(key), b(key);
    const Bytes sealed = a.seal(message);
    for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
        Bytes flipped = sealed;
        flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
        REQUIRE_FALSE(b.opens(flipped));
    }
    for (std::size_t size = 0; size < sealed.size(); ++size)
        REQUIRE_FALSE(b.opens(ByteView(sealed).first(size)));
    Bytes longer = sealed;
    longer.push_back(0);
    CHECK_FALSE(b.opens(longer));
    // None of these has used it up.
    CHECK(b.opens(sealed));
}

TEST_CASE("a message is opened once, in whatever order they come within the window") {
    const SwarmKey key = new_swarm_key();
    Member a(key), b(key);
    std::vector<Bytes> sealed;
    for (std::uint64_t i = 0; i < 2 * Opener::window + 1; ++i)
        sealed.push_back(a.seal(message));
    CHECK(b.opens(sealed[1]));
    CHECK_FALSE(b.opens(sealed[1]));
    CHECK(b.opens(sealed[0]));
    CHECK_FALSE(b.opens(sealed[0]));
    // One short of the window behind the highest, and at it.
    CHECK(b.opens(sealed[Opener::window + 1]));
    CHECK_FALSE(b.opens(sealed[1]));
    CHECK(b.opens(sealed[2]));
    CHECK_FALSE(b.opens(sealed[2]));
    CHECK(b.opens(sealed[3]));
    CHECK(b.opens(sealed[2 * Opener::window]));
    for (std::size_t i = 0; i <= Opener::window; ++i)
        REQUIRE_FALSE(b.opens(sealed[i]));
    CHECK_FALSE(b.opens(sealed[Opener::window + 1]));
    CHECK(b.opens(sealed[Opener::window + 2]));
}

TEST_CASE("senders do not get into each other's way") {
    const SwarmKey key = new_swarm_key();
    Member a(key), b(key), c(key);
    for (int i = 0; i < 10; ++i) {
        REQUIRE(c.opens(a.seal(message)));
        REQUIRE(c.opens(b.seal(message)));
    }
    CHECK(c.opener.senders() == 2);
}

TEST_CASE("a message that is too old, from the future, or from before the start is not opened") {
    const SwarmKey key = new_swarm_key();
    Member a(key), b(key), restarted(key, "test", now);
    CHECK(b.opens(a.seal(message), here, now + Opener::clock_tolerance));
    CHECK_FALSE(b.opens(a.seal(message), here, now + Opener::clock_tolerance + 1ms));
    CHECK(b.opens(a.seal(message), here, now - Opener::clock_tolerance));
    CHECK_FALSE(b.opens(a.seal(message), here, now - Opener::clock_tolerance - 1ms));
    CHECK(restarted.opens(a.seal(message)));
    CHECK_FALSE(restarted.opens(a.seal(message, here, now - 1ms)));
}

TEST_CASE("a message for another node is not opened") {
    const SwarmKey key = new_swarm_key();
    Member a(key), b(key);
    const Bytes sealed = a.seal(message);
    CHECK_FALSE(b.opens(sealed, at("192.0.2.2:2929")));
    CHECK_FALSE(b.opens(sealed, at("192.0.2.1:2930")));
    CHECK(b.opens(sealed));
}

TEST_CASE("behind an address translation, what is for a public address is for this node") {
    for (const char* const local : {"10.0.0.1:1", "172.16.0.1:1", "172.31.255.255:1",
                                    "192.168.1.1:1", "100.64.0.1:1", "169.254.1.1:1"})
        CHECK_MESSAGE(is_for(here, at(local)), local);
    CHECK(is_for(at("[2001:db8::1]:1"), at("[fd00::1]:2")));
    for (const char* const local :
         {"172.15.0.1:1", "172.32.0.1:1", "192.167.1.1:1", "100.128.0.1:1", "127.0.0.1:1",
          "198.51.100.1:2929", "[fd00::1]:1"})
        CHECK_FALSE_MESSAGE(is_for(here, at(local)), local);
    CHECK_FALSE(is_for(at("10.0.0.2:1"), at("10.0.0.1:1")));
    CHECK_FALSE(is_for(at("127.0.0.1:1"), at("10.0.0.1:1")));
    CHECK_FALSE(is_for(at("[2001:db8::1]:1"), at("[2001:db8::2]:1")));
}

TEST_CASE("no more senders are remembered than there is room for, and old ones go first") {
    const SwarmKey key = new_swarm_key();
    Member opener(key);
    Member early(key);
    const Bytes first = early.seal(message);
    REQUIRE(opener.opens(first));
    const WallTime later = now + Opener::clock_tolerance + 1ms;
    for (std::size_t i = 0; i < limits::sealers_max; ++i) {
        Member other(key);
        REQUIRE(opener.opens(other.seal(message, here, later), here, later));
    }
    CHECK(opener.opener.senders() == limits::sealers_max);
    // Forgotten, but too old to be opened again.
    CHECK_FALSE(opener.opens(first, here, later));
    Member one_more(key);
    REQUIRE(opener.opens(one_more.seal(message, here, later + 1ms), here, later + 1ms));
    CHECK(opener.opener.senders() == limits::sealers_max);
}

}  // namespace
}  // namespace flow29::core
