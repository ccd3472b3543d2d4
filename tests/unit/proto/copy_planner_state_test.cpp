// SPDX-License-Identifier: GPL-3.0-or-later
// Limits, changes of what is known, and items with nobody to ask.
#include "proto/copy_planner.hpp"

#include <doctest/doctest.h>

#include <flow29/limits.hpp>
#include "copy_world.hpp"

namespace flow29::proto {
namespace {

TEST_CASE("bytes in flight are limited, to one item at least") {
    CopyPlanner::Options options = publisher();
    options.bytes_in_flight_max = ByteCount(3 * mebibyte.value);
    SUBCASE("several small ones") {
        World w(10, options);
        w.add(1);
        w.add(2);
        auto targets = w.targets(0s);
        CHECK(targets.size() == 3);
        CHECK(w.planner.next_deadline() == at(60s));
        CHECK(w.targets(1s).empty());
        w.planner.on_copy(fake_item(1), targets[0], at(1s));
        CHECK(w.targets(1s).size() == 1);
        w.planner.on_answer(fake_item(1), targets[1], InviteAnswer::refused, at(2s));
        CHECK(w.targets(2s).size() == 1);
        // Item 2, with no copy at all, got what became free; the last of item 1 goes with it.
        w.planner.remove_item(fake_item(1));
        CHECK(w.targets(2s).size() == 1);
    }
    SUBCASE("one large one") {
        World w(10, options);
        w.add(1, 4, ByteCount(100 * mebibyte.value));
        CHECK(w.targets(0s).size() == 1);
    }
    SUBCASE("a small one does not overtake a large one that is worse off") {
        World w(10, options);
        w.add(1, 1);
        w.add(2, 1, ByteCount(3 * mebibyte.value));
        w.add(3, 1);
        const auto first = w.poll_all(0s);
        REQUIRE(first.size() == 1);
        CHECK(first[0].item == fake_item(1));
        w.planner.on_copy(fake_item(1), first[0].target, at(1s));
        const auto second = w.poll_all(1s);
        REQUIRE(second.size() == 1);
        CHECK(second[0].item == fake_item(2));
    }
    SUBCASE("giving up makes room") {
        World w(10, options);
        w.add(1);
        CHECK(w.targets(0s).size() == 3);
        CHECK(w.targets(60s).size() == 3);
    }
}

TEST_CASE("nothing is begun while the node is cut off") {
    World w(3, holder());
    w.add(1);
    for (std::uint32_t i = 1; i <= 3; ++i)
        w.planner.on_copy(fake_item(1), fake_node(i), at(0s));
    w.add(2);
    for (std::uint32_t i = 1; i <= 3; ++i) {
        w.table.on_missing(fake_node(i), at(1s));
        w.planner.on_node_changed(fake_node(i), at(1s));
    }
    CHECK(w.poll_all(1h).empty());
    CHECK_FALSE(w.planner.next_deadline());
    CHECK(w.planner.copies(fake_item(1)) == 4);
    w.table.on_alive(fake_record(1), at(1h));
    w.planner.on_node_changed(fake_node(1), at(1h));
    const auto invitations = w.poll_all(1h);
    REQUIRE(invitations.size() == 1);
    CHECK(invitations[0].item == fake_item(2));
}

TEST_CASE("a missing holder counts until it is gone, and again when it is back") {
    World w(8, publisher());
    w.add(1, 2);
    w.planner.on_copy(fake_item(1), fake_node(1), at(0s));
    w.planner.on_copy(fake_item(1), fake_node(2), at(0s));
    w.table.on_missing(fake_node(1), at(0s));
    w.planner.on_node_changed(fake_node(1), at(0s));
    CHECK(w.planner.copies(fake_item(1)) == 2);
    CHECK(w.poll_all(4min).empty());

    for (const NodeId& node : w.table.expire(at(5min)))
        w.planner.on_node_changed(node, at(5min));
    CHECK(w.planner.copies(fake_item(1)) == 1);
    CHECK(w.planner.counts().under_target == 1);
    const auto targets = w.targets(5min);
    REQUIRE(targets.size() == 1);
    CHECK(w.planner.holders(fake_item(1)).size() == 2);

    w.table.on_alive(fake_record(1), at(6min));
    w.planner.on_node_changed(fake_node(1), at(6min));
    CHECK(w.planner.copies(fake_item(1)) == 2);
    w.planner.on_copy(fake_item(1), targets[0], at(6min));
    CHECK(w.planner.copies(fake_item(1)) == 3);
    CHECK(w.poll_all(1h).empty());
}

TEST_CASE("a holder that was never met does not count until it is") {
    World w(4, publisher());
    w.add(1, 1);
    w.planner.on_copy(fake_item(1), fake_node(50), at(0s));
    CHECK(w.planner.copies(fake_item(1)) == 0);
    w.table.on_alive(fake_record(50), at(1s));
    w.planner.on_node_changed(fake_node(50), at(1s));
    CHECK(w.planner.counts().sum_copies == 1);
    CHECK(w.poll_all(1s).empty());
}

TEST_CASE("a copy that its holder denies does not count") {
    World w(5, publisher());
    w.add(1, 1);
    w.planner.on_copy(fake_item(1), fake_node(1), at(0s));
    CHECK(w.poll_all(0s).empty());
    w.planner.on_no_copy(fake_item(1), fake_node(1), at(1s));
    w.planner.on_no_copy(fake_item(1), fake_node(2), at(1s));
    CHECK(w.planner.copies(fake_item(1)) == 0);
    CHECK(w.planner.items_of(fake_node(1)).empty());
    CHECK(w.poll_all(1s).size() == 1);
}

TEST_CASE("an invited node that is gone is not waited for") {
    World w(5, publisher());
    w.add(1, 1);
    const auto targets = w.targets(0s);
    REQUIRE(targets.size() == 1);
    w.table.on_goodbye(targets[0], at(1s));
    w.planner.on_node_changed(targets[0], at(1s));
    const auto next = w.targets(1s);
    REQUIRE(next.size() == 1);
    CHECK(next[0] != targets[0]);
}

TEST_CASE("an item with nobody to ask is looked at when a candidate appears") {
    World w(1, publisher());
    w.add(1, 2);
    CHECK(w.targets(0s).size() == 1);
    CHECK_FALSE(w.planner.stuck(fake_item(1), at(0s), wall(0s)));  // one is on its way
    w.planner.on_copy(fake_item(1), fake_node(1), at(1s));
    CHECK(w.targets(1s).empty());
    CHECK(w.planner.stuck(fake_item(1), at(1s), wall(1s)));

    w.table.on_alive(fake_record(2), at(2s));
    CHECK(w.targets(2s).empty());  // nobody said so
    w.planner.on_candidates_changed(at(2s));
    CHECK(w.planner.next_deadline() == at(2s));
    CHECK(w.targets(2s) == std::vector{fake_node(2)});
}

TEST_CASE("candidates may change often at little cost: at most one look a second") {
    World w(1, publisher());
    w.add(1, 2);
    w.planner.on_copy(fake_item(1), fake_node(1), at(0s));
    CHECK(w.targets(0s).empty());
    w.planner.on_candidates_changed(at(10s));
    CHECK(w.targets(10s).empty());
    w.table.on_alive(fake_record(2), at(10s));
    w.planner.on_candidates_changed(at(10s + 1ms));
    w.planner.on_candidates_changed(at(10s + 2ms));
    CHECK(w.planner.next_deadline() == at(11s));
    CHECK(w.targets(11s) == std::vector{fake_node(2)});
}

TEST_CASE("an item with nobody to ask is looked at again after the retry time") {
    World w(1, publisher());
    w.add(1, 1);
    w.table.on_full(fake_node(1), at(1min));
    CHECK(w.targets(0s).empty());
    CHECK(w.planner.next_deadline() == at(2min));
    CHECK(w.targets(2min) == std::vector{fake_node(1)});
}

TEST_CASE("who says that it has room again is asked at once, but not for every such word") {
    World w(2, publisher());
    w.add(1, 2);
    w.add(2, 2);
    const auto refuse_all = [&](Duration now) {
        const auto asked = w.poll_all(now);
        for (const auto& invitation : asked) {
            w.table.on_full(invitation.target, at(now + 1min));
            w.planner.on_answer(invitation.item, invitation.target, InviteAnswer::full, at(now));
        }
        return asked.size();
    };
    CHECK(refuse_all(0s) == 4);
    CHECK(w.targets(20s).empty());
    REQUIRE(w.table.on_room(fake_node(1), at(20s)));
    w.planner.on_candidates_changed(at(20s));
    CHECK(w.targets(20s) == std::vector{fake_node(1), fake_node(1)});
    w.planner.on_answer(fake_item(1), fake_node(1), InviteAnswer::full, at(21s));
    CHECK_FALSE(w.table.on_room(fake_node(1), at(29s)));
    w.planner.on_candidates_changed(at(29s));
    CHECK(w.targets(30s).empty());
    CHECK(w.table.on_room(fake_node(1), at(31s)));
    w.planner.on_candidates_changed(at(31s));
    CHECK(w.targets(31s) == std::vector{fake_node(1)});
    CHECK_FALSE(w.table.on_room(fake_node(9), at(31s)));  // unknown
}

TEST_CASE("adding an item again raises its target, never above the limit") {
    World w(30, publisher());
    w.add(1, 2);
    CHECK(w.targets(0s).size() == 2);
    w.add(1, 1);
    CHECK(w.planner.target(fake_item(1)) == 2);
    w.add(1, 4);
    CHECK(w.targets(0s).size() == 2);
    w.add(1, 255);
    CHECK(w.planner.target(fake_item(1)) == limits::copies_max);
    CHECK(w.planner.items() == std::vector{fake_item(1)});
}

TEST_CASE("a changed item wants fewer copies, or more, and belongs to another object") {
    World w(30, publisher());
    w.add(1, 4);
    CHECK(w.targets(0s).size() == 4);
    for (const std::uint32_t node : {1, 2, 3})
        w.planner.on_copy(fake_item(1), fake_node(node), at(1s));
    RootHash other;
    other.bytes[0] = 9;
    w.planner.change_item(fake_item(1), other, 2);
    w.planner.check_invariants();
    CHECK(w.planner.root_of(fake_item(1)) == other);
    CHECK(w.planner.target(fake_item(1)) == 2);
    CHECK(w.planner.counts().under_target == 0);
    CHECK(w.targets(1s).empty());
    w.planner.on_no_copy(fake_item(1), fake_node(1), at(2s));
    CHECK(w.planner.counts().under_target == 0);
    w.planner.on_no_copy(fake_item(1), fake_node(2), at(2s));
    CHECK(w.planner.counts().under_target == 1);
    w.planner.change_item(fake_item(1), other, 255);
    w.planner.check_invariants();
    CHECK(w.planner.target(fake_item(1)) == limits::copies_max);
}

TEST_CASE("a removed item is forgotten with all that was known about it") {
    World w(10, publisher());
    w.add(1);
    w.planner.on_copy(fake_item(1), fake_node(1), at(0s));
    const auto targets = w.targets(0s);
    w.planner.remove_item(fake_item(1));
    w.planner.remove_item(fake_item(2));
    w.planner.check_invariants();
    CHECK_FALSE(w.planner.has_item(fake_item(1)));
    CHECK(w.planner.copies(fake_item(1)) == 0);
    CHECK(w.planner.target(fake_item(1)) == 0);
    CHECK(w.planner.items_of(fake_node(1)).empty());
    CHECK_FALSE(w.planner.stuck(fake_item(1), at(0s), wall(0s)));
    for (const NodeId& node : targets) {
        w.planner.on_answer(fake_item(1), node, InviteAnswer::accepted, at(1s));
        w.planner.on_copy(fake_item(1), node, at(2s));
        w.planner.on_no_copy(fake_item(1), node, at(2s));
        w.planner.on_invite_failed(fake_item(1), node, at(2s));
    }
    CHECK(w.planner.counts().items == 0);
    CHECK(w.planner.counts().in_flight == 0);
    CHECK(w.planner.counts().min_copies == 0);
    CHECK(w.poll_all(1h).empty());
}

TEST_CASE("counts cover all items") {
    World w(10, holder());
    w.add(1, 1);
    w.add(2, 3);
    w.planner.on_copy(fake_item(1), fake_node(1), at(0s));
    CHECK(w.poll_all(0s).size() == 2);
    const auto counts = w.planner.counts();
    CHECK(counts.items == 2);
    CHECK(counts.under_target == 1);
    CHECK(counts.in_flight == 2);
    CHECK(counts.min_copies == 1);
    CHECK(counts.sum_copies == 3);
}

TEST_CASE("many items with nobody to ask do not make one call long") {
    World w(1, holder());
    for (std::uint32_t i = 0; i < 3'000; ++i) {
        w.add(i, 4);
        w.planner.on_copy(fake_item(i), fake_node(1), at(0s));
    }
    std::size_t calls = 0;
    for (Duration now = 0s;; ++calls) {
        CHECK_FALSE(w.planner.poll_invite(at(now), wall(now)));
        if (*w.planner.next_deadline() > at(now)) break;
    }
    CHECK(calls >= 10);  // each looked at 256 at most
    CHECK(*w.planner.next_deadline() <= at(2min));
    w.table.on_alive(fake_record(2), at(1min));
    w.planner.on_node_changed(fake_node(2), at(1min));
    CHECK(w.poll_all(1min).size() == 256);  // of 1 MiB each: the bytes in flight are used up
}

}  // namespace
}  // namespace flow29::proto
