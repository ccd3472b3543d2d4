// SPDX-License-Identifier: GPL-3.0-or-later
// Stalls, the end-game, and peers that fail or leave.
#include "proto/download_planner.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "download_world.hpp"

namespace flow29::proto {
namespace {

using Blame = DownloadPlanner::Blame;
using Options = DownloadPlanner::Options;
using PieceId = DownloadPlanner::PieceId;
using Request = DownloadPlanner::Request;

TEST_CASE("a piece of a silent peer is asked of a second one after the stall time") {
    Download d(2, {.pieces_min = 64, .pieces_max = 64});
    const NodeId silent = d.add(1);
    const auto first = d.poll_all(0s);
    REQUIRE(first.size() == 32);  // 64 KiB each
    const NodeId second = d.add(2);
    CHECK(d.poll_all(2s - 1ns).empty());
    CHECK(d.planner.next_deadline(at(1s)) == at(2s));
    const auto hedge = d.poll_all(2s);
    REQUIRE(hedge.size() == 32);
    CHECK(hedge[0].piece == first[0].piece);
    CHECK(hedge[0].peer == second);
    const NodeId third = d.add(3);
    CHECK(d.poll_all(2s).empty());

    SUBCASE("the second wins, the first is discarded") {
        CHECK(d.planner.on_piece(first[0].piece, second, at(2500ms)));
        d.planner.check_invariants();
        CHECK_FALSE(d.planner.on_piece(first[0].piece, silent, at(3s)));
        CHECK(d.planner.duplicated() == ByteCount(64 * 1024));
        CHECK(d.planner.verified() == ByteCount(64 * 1024));
    }
    SUBCASE("the first wins after all") {
        CHECK(d.planner.on_piece(first[0].piece, silent, at(2500ms)));
        CHECK_FALSE(d.planner.on_piece(first[0].piece, second, at(3s)));
    }
    SUBCASE("something comes from the second, until one of them fails") {
        d.planner.on_heard(second, at(4s - 1ns));
        CHECK(d.poll_all(6s - 2ns).empty());
        d.planner.on_failure(first[0].piece, silent, Blame::ours, at(5s));
        CHECK(d.poll_all(5s).empty());
        d.planner.on_failure(first[0].piece, second, Blame::ours, at(5s));
        REQUIRE(d.poll_all(5s).size() == 1);
    }
    SUBCASE("the second is silent as well, and then the third, and the fourth") {
        CHECK(d.poll_all(4s - 1ns).empty());
        CHECK(d.planner.next_deadline(at(3s)) == at(4s));
        auto again = d.poll_all(4s);
        REQUIRE(again.size() == 32);
        CHECK(again[0].piece == first[0].piece);
        CHECK(again[0].peer == third);
        d.add(4);
        CHECK(d.poll_all(6s - 1ns).empty());
        CHECK(d.poll_all(6s).size() == 32);
        // More are not asked for one piece.
        d.add(5);
        CHECK(d.poll_all(1h).empty());
        CHECK(d.planner.on_piece(first[0].piece, third, at(1h)));
    }
    SUBCASE("when both fail it is unasked again") {
        d.planner.on_failure(first[0].piece, silent, Blame::lied, at(3s));
        d.planner.on_failure(first[0].piece, second, Blame::lied, at(3s));
        CHECK(d.poll_all(3s).size() == 32);
    }
    d.planner.check_invariants();
}

TEST_CASE("a silent peer gets nothing new until it delivers") {
    Download d(256);
    const NodeId peer = d.add(1);
    auto requests = d.poll_all(0s);
    d.planner.on_failure(requests[1].piece, peer, Blame::ours, at(1s));
    CHECK(d.poll_all(2s).empty());
    CHECK(d.planner.on_piece(requests[0].piece, peer, at(5s)));
    CHECK(d.poll_all(5s).size() == 2);
}

TEST_CASE("a slow peer is given four times its usual time before it is hedged") {
    Download d(64, {.pieces_min = 1, .pieces_max = 1});
    const NodeId slow = d.add(1);
    Duration now = 0s;
    d.warm_up(slow, now, 3s, 3);
    const auto asked = d.poll_all(now);
    REQUIRE(asked.size() == 1);
    // Another that holds just this extent and whose speed is unknown, so that it takes nothing
    // over.
    const NodeId other = d.add(2, false);
    d.planner.set_holds(other, asked[0].extent);
    const auto rest = d.poll_all(now);
    for (const Request& request : rest)
        d.planner.on_failure(request.piece, other, Blame::ours, at(now));
    CHECK(*d.planner.next_deadline(at(now)) > at(now + 11900ms));
    std::size_t hedges = 0;
    for (const Request& request : d.poll_all(now + 11s))
        hedges += request.piece == asked[0].piece;
    CHECK(hedges == 0);
}

TEST_CASE("in order, a stalled piece comes before what is unasked; otherwise after it") {
    for (const bool in_order : {true, false}) {
        CAPTURE(in_order);
        Options options{.in_order = in_order};
        options.pieces_min = options.pieces_max = 4;
        Download d(64, options);
        const NodeId silent = d.add(1);
        const auto stalled = d.poll_all(0s);
        d.add(2);
        const auto requests = d.poll_all(2s);
        REQUIRE(requests.size() == 4);
        CHECK((requests[0].piece == stalled[0].piece) == in_order);
        CHECK(d.planner.is_banned(silent) == false);
    }
}

TEST_CASE("an idle peer takes over what it would finish in less than half the time") {
    // 16 MiB in 64 pieces; both peers deliver 28 of them, then the slow one has the rest.
    struct Case {
        Duration fast;
        Duration saves_min;
        bool takes_over;
    };
    for (const Case& c : {Case{100ms, 0ms, true}, Case{240ms, 0ms, true}, Case{260ms, 0ms, false},
                          Case{100ms, 390ms, true}, Case{100ms, 410ms, false}}) {
        Download d(16, {.pieces_min = 1, .pieces_max = 1, .takeover_saves_min = c.saves_min});
        const NodeId slow = d.add(1);
        Duration now = 0s;
        d.warm_up(slow, now, 500ms, 28);
        d.planner.remove_peer(slow, at(now));
        const NodeId fast = d.add(2);
        d.warm_up(fast, now, c.fast, 35);
        d.planner.remove_peer(fast, at(now));
        d.planner.add_peer(slow, at(now));
        const auto last = d.poll_all(now);
        REQUIRE(last.size() == 1);
        d.planner.add_peer(fast, at(now));
        const auto taken = d.poll_all(now);
        REQUIRE(taken.size() == c.takes_over);
        if (c.takes_over) {
            CHECK(taken[0].piece == last[0].piece);
            CHECK(taken[0].peer == fast);
        } else {
            // As the slow one becomes overdue, by as much as has to be saved, it is taken over.
            const auto next = d.planner.next_deadline(at(now));
            REQUIRE(next);
            CHECK(*next > at(now + 1s));
            CHECK(*next < at(now + 1100ms));
            CHECK(d.planner.poll_request(*next));
        }
        const NodeId third = d.add(3);
        CHECK(d.poll_all(now + 1100ms).empty());
        CHECK(d.planner.in_flight() == 2);
        // Only when nothing has come from both for long.
        CHECK(d.poll_all(now + 10s).size() == 1);
        CHECK(d.planner.in_flight() == 3);
        CHECK_FALSE(d.planner.is_banned(third));
    }
}

TEST_CASE("nothing is taken over while there is something unasked") {
    Download d(256, {.pieces_min = 1, .pieces_max = 1});
    const NodeId slow = d.add(1);
    Duration now = 0s;
    d.warm_up(slow, now, 1s, 2);
    d.planner.remove_peer(slow, at(now));
    const NodeId fast = d.add(2, false);
    d.planner.set_holds(fast, ExtentIndex(1));
    d.planner.set_holds(fast, ExtentIndex(2));
    d.warm_up(fast, now, 10ms, 3);
    d.planner.add_peer(slow, at(now));
    // The slow one gets the last piece that the fast one holds; much is left that only it holds.
    d.planner.remove_peer(fast, at(now));
    REQUIRE(d.poll_all(now).size() == 1);
    d.planner.add_peer(fast, at(now));
    CHECK(d.poll_all(now).empty());
}

TEST_CASE("a peer that lied is never asked again and its pieces go to others") {
    Download d(64);
    const NodeId liar = d.add(1);
    const auto requests = d.poll_all(0s);
    REQUIRE(requests.size() == 2);
    d.planner.on_failure(requests[1].piece, liar, Blame::lied, at(1s));
    CHECK(d.planner.is_banned(liar));
    CHECK(d.planner.usable_peers() == 0);
    CHECK(d.planner.in_flight() == 0);
    CHECK(d.poll_all(1h).empty());
    d.planner.remove_peer(liar, at(1h));
    d.planner.add_peer(liar, at(1h));
    d.planner.set_holds_all(liar);
    CHECK(d.poll_all(2h).empty());
    CHECK(d.planner.peers()[0].banned);
    const NodeId honest = d.add(2);
    const auto again = d.poll_all(2h);
    REQUIRE(again.size() == 2);
    CHECK(again[0].peer == honest);
    CHECK(again[0].piece == requests[0].piece);
    CHECK(again[1].piece == requests[1].piece);
}

TEST_CASE("a lie counts even about a piece that had been given back") {
    Download d(64);
    const NodeId liar = d.add(1);
    const auto requests = d.poll_all(0s);
    d.planner.on_failure(requests[0].piece, liar, Blame::busy, at(1s));
    d.planner.on_failure(requests[1].piece, liar, Blame::lied, at(1s));
    CHECK(d.planner.is_banned(liar));
    d.planner.on_failure(requests[1].piece, fake_node(9), Blame::lied, at(1s));  // unknown
    CHECK_FALSE(d.planner.is_banned(fake_node(9)));
}

TEST_CASE("a busy or unreachable peer gives all its pieces back and pauses, longer each time") {
    for (const Blame blame : {Blame::busy, Blame::unreachable}) {
        Download d(64);
        const NodeId peer = d.add(1);
        Duration now = 0s;
        for (const Duration pause : {1s, 2s, 4s, 8s, 16s, 32s, 64s, 64s}) {
            const auto requests = d.poll_all(now);
            REQUIRE(requests.size() == 2);
            d.planner.on_failure(requests[0].piece, peer, blame, at(now));
            CHECK(d.planner.in_flight() == 0);
            // The other request's failure tells nothing new.
            d.planner.on_failure(requests[1].piece, peer, blame, at(now));
            CHECK(d.planner.next_deadline(at(now)) == at(now + pause));
            CHECK(d.poll_all(now + pause - 1ns).empty());
            now += pause;
        }
        const auto requests = d.poll_all(now);
        CHECK(d.planner.on_piece(requests[0].piece, peer, at(now)));
        d.planner.on_failure(requests[1].piece, peer, blame, at(now));
        CHECK(d.planner.next_deadline(at(now)) == at(now + 1s));  // it had delivered
    }
}

TEST_CASE("a pausing peer's pieces go to others at once") {
    Download d(64);
    const NodeId peer = d.add(1);
    const auto requests = d.poll_all(0s);
    const NodeId other = d.add(2);
    const auto others = d.poll_all(0s);
    CHECK(mebibytes_of(others) == std::vector<std::uint64_t>{2, 3});
    d.planner.on_failure(requests[0].piece, peer, Blame::busy, at(100ms));
    CHECK(d.planner.on_piece(others[0].piece, other, at(100ms)));
    CHECK(mebibytes_of(d.poll_all(100ms)) == std::vector<std::uint64_t>{0, 1, 4});
}

TEST_CASE("a failure of our own costs the peer nothing") {
    Download d(64);
    const NodeId peer = d.add(1);
    const auto requests = d.poll_all(0s);
    d.planner.on_failure(requests[0].piece, peer, Blame::ours, at(0s));
    const auto again = d.poll_all(0s);
    REQUIRE(again.size() == 1);
    CHECK(again[0].piece == requests[0].piece);
    CHECK(d.planner.in_flight() == 2);
}

TEST_CASE("a peer that left gives its pieces back, and what it holds is remembered") {
    Download d(64);
    const NodeId peer = d.add(1, false);
    d.planner.set_holds(peer, ExtentIndex(3));
    const auto requests = d.poll_all(0s);
    REQUIRE(requests.size() == 2);
    CHECK(d.planner.on_piece(requests[0].piece, peer, at(1s)));
    d.planner.remove_peer(peer, at(1s));
    d.planner.remove_peer(fake_node(9), at(1s));
    CHECK(d.planner.in_flight() == 0);
    CHECK(d.planner.usable_peers() == 0);
    CHECK(d.poll_all(1s).empty());
    d.planner.add_peer(peer, at(2s));
    const auto again = d.poll_all(2s);
    REQUIRE(again.size() == 1);  // what was verified stays
    CHECK(again[0].piece == requests[1].piece);
}

TEST_CASE("what is said of a peer before it is added counts once it is") {
    Download d(64);
    d.planner.set_holds(fake_node(1), ExtentIndex(2));
    CHECK(d.poll_all(0s).empty());
    CHECK(d.planner.peers().empty());
    d.planner.add_peer(fake_node(1), at(0s));
    CHECK(mebibytes_of(d.poll_all(0s)) == std::vector<std::uint64_t>{4, 5});
}

TEST_CASE("a piece that comes although it was given back counts once") {
    Download d(64);
    const NodeId peer = d.add(1);
    const auto requests = d.poll_all(0s);
    d.planner.remove_peer(peer, at(1s));
    CHECK(d.planner.on_piece(requests[0].piece, peer, at(1s)));  // was on its way
    CHECK_FALSE(d.planner.on_piece(requests[0].piece, peer, at(1s)));
    const NodeId other = d.add(2);
    auto again = d.poll_all(1s);
    REQUIRE(again.size() == 2);
    CHECK(again[0].piece == requests[1].piece);
    CHECK(d.planner.on_piece(requests[1].piece, peer, at(2s)));  // while it is asked of another
    CHECK_FALSE(d.planner.on_piece(requests[1].piece, other, at(2s)));
    CHECK(d.planner.verified() == ByteCount(2 * mib));
    d.planner.check_invariants();
}

}  // namespace
}  // namespace flow29::proto
