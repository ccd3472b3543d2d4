// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/copy_planner.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include <flow29/limits.hpp>
#include "copy_world.hpp"
#include "core/hash.hpp"

namespace flow29::proto {
namespace {

TEST_CASE("a publisher invites the best candidates at once, and its own copy does not count") {
    World w(10, publisher());
    w.add(1);
    const auto invitations = w.poll_all(0s);
    REQUIRE(invitations.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(invitations[i].item == fake_item(1));
        CHECK(invitations[i].length == mebibyte);
        CHECK(invitations[i].target == w.ranked(1)[i]);
    }
    CHECK(w.planner.copies(fake_item(1)) == 0);
    for (const NodeId& node : slice(w.ranked(1), 0, 4)) {
        w.planner.on_answer(fake_item(1), node, InviteAnswer::accepted, at(1s));
        w.planner.on_copy(fake_item(1), node, at(2s));
    }
    CHECK(w.planner.copies(fake_item(1)) == 4);
    CHECK(w.poll_all(1h).empty());
    CHECK_FALSE(w.planner.next_deadline());
}

TEST_CASE("the bytes of copies count up to the target, and back when copies go") {
    World w(10, publisher());
    w.add(1);
    w.add(2, 2, ByteCount(100));
    const auto made = [&w] { return w.planner.counts().bytes_made.value; };
    CHECK(w.planner.counts().bytes_wanted.value == 4 * mebibyte.value + 200);
    CHECK(made() == 0);
    w.planner.on_copy(fake_item(1), fake_node(1), at(0s));
    for (std::uint32_t i = 1; i <= 3; ++i)
        w.planner.on_copy(fake_item(2), fake_node(i), at(0s));
    CHECK(made() == mebibyte.value + 200);
    w.planner.on_no_copy(fake_item(2), fake_node(1), at(1s));
    CHECK(made() == mebibyte.value + 200);
    w.planner.on_no_copy(fake_item(2), fake_node(2), at(1s));
    CHECK(made() == mebibyte.value + 100);
    w.planner.remove_item(fake_item(1));
    CHECK(w.planner.counts().bytes_wanted.value == 200);
    CHECK(made() == 100);
}

TEST_CASE("a holder's own copy counts") {
    World w(10, holder());
    w.add(1);
    CHECK(w.planner.copies(fake_item(1)) == 1);
    CHECK(w.poll_all(0s).size() == 3);
    CHECK(w.planner.holders(fake_item(1)).empty());
}

TEST_CASE("the item with the fewest copies comes first, then the earlier added") {
    World w(10, publisher());
    for (std::uint32_t i = 1; i <= 4; ++i)
        w.add(i);
    w.planner.on_copy(fake_item(1), fake_node(1), at(0s));
    w.planner.on_copy(fake_item(1), fake_node(2), at(0s));
    w.planner.on_copy(fake_item(2), fake_node(1), at(0s));
    w.planner.on_copy(fake_item(4), fake_node(1), at(0s));
    std::vector<ItemId> order;
    for (const auto& invitation : w.poll_all(0s))
        if (order.empty() || order.back() != invitation.item) order.push_back(invitation.item);
    CHECK(order == std::vector{fake_item(3), fake_item(2), fake_item(4), fake_item(1)});
}

TEST_CASE("a live holder of rank r waits r times the takeover time") {
    World w(8, holder());
    w.add(1);
    w.planner.on_copy(fake_item(1), fake_node(1), at(0s));
    w.planner.on_copy(fake_item(1), fake_node(2), at(0s));
    const auto hash = [](const NodeId& n) {
        return core::sha256({fake_item(1).key(core::KeySpace()).view(), n.view()});
    };
    const int rank =
        (hash(fake_node(1)) < hash(fake_node(0))) + (hash(fake_node(2)) < hash(fake_node(0)));
    if (rank > 0) {
        CHECK(w.poll_all(0s).empty());
        CHECK(w.planner.next_deadline() == at(rank * 10s));
        CHECK(w.poll_all(rank * 10s - 1ns).empty());
    }
    CHECK(w.poll_all(rank * 10s).size() == 1);
}

TEST_CASE("a bystander waits for every live holder, whatever its own rank") {
    World w(8, holder());
    w.add(1, 4);
    w.planner.set_bystander(fake_item(1));
    w.planner.on_copy(fake_item(1), fake_node(1), at(0s));
    w.planner.on_copy(fake_item(1), fake_node(2), at(0s));
    CHECK(w.poll_all(0s).empty());
    CHECK(w.planner.next_deadline() == at(20s));
    CHECK(w.poll_all(15s).empty());
    w.table.on_missing(fake_node(1), at(15s));
    w.planner.on_node_changed(fake_node(1), at(15s));
    CHECK(w.poll_all(15s).size() == 1);
}

TEST_CASE("the next copy goes to the address group with the fewest, this node's own included") {
    const auto record = [](std::uint32_t number, std::uint8_t group) {
        auto made = fake_record(number);
        made.addresses[0].address[14] = group;
        return made;
    };
    for (std::uint32_t item = 1; item <= 20; ++item) {
        World w(0, holder());
        w.table.set_self_group(record(0, 100).addresses[0].group());
        w.table.on_alive(record(1, 101), at(0s));
        for (std::uint32_t i = 2; i <= 6; ++i)
            w.table.on_alive(record(i, i < 4 ? 101 : 100), at(0s));
        w.table.on_alive(record(7, 102), at(0s));
        w.add(item, 4);
        w.planner.on_copy(fake_item(item), fake_node(1), at(0s));
        auto targets = w.targets(0s);
        if (targets.empty()) targets = w.targets(10s);  // node 1 is the first in rank
        REQUIRE(targets.size() == 2);
        CHECK(targets[0] == fake_node(7));
        // Then all groups are equal and the ranking decides.
        auto rest = w.ranked(item);
        std::erase(rest, fake_node(1));
        std::erase(rest, fake_node(7));
        CHECK(targets[1] == rest.front());
    }
}

TEST_CASE("exactly one of the holders acts at once, and each rank acts in its time") {
    std::vector<int> waits;
    for (std::uint32_t self = 1; self <= 3; ++self) {
        NodeTable table({.self = fake_node(self)});
        for (std::uint32_t i = 1; i <= 8; ++i)
            table.on_alive(fake_record(i), at(0s));
        CopyPlanner planner(table, {.self = fake_node(self), .settle = 0s});
        planner.add_item(fake_item(1), {}, mebibyte, 4);
        for (std::uint32_t i = 1; i <= 3; ++i)
            planner.on_copy(fake_item(1), fake_node(i), at(0s));
        CHECK(planner.copies(fake_item(1)) == 3);
        int seconds = 0;
        while (!planner.poll_invite(at(1s * seconds), wall(0s)))
            ++seconds;
        waits.push_back(seconds);
    }
    std::ranges::sort(waits);
    CHECK(waits == std::vector{0, 10, 20});
}

TEST_CASE("a dead holder is not waited for, and a changed number of copies starts the wait anew") {
    World w(12, holder());
    // An item for which node 1 comes before us and node 2 as well.
    std::uint32_t item = 0;
    const auto before_us = [&](std::uint32_t node) {
        const DhtKey key = fake_item(item).key(core::KeySpace());
        return core::sha256({key.view(), fake_node(node).view()}) <
               core::sha256({key.view(), fake_node(0).view()});
    };
    while (!before_us(1) || !before_us(2))
        ++item;
    w.add(item, 5);
    w.planner.on_copy(fake_item(item), fake_node(1), at(0s));
    w.planner.on_copy(fake_item(item), fake_node(2), at(0s));
    CHECK(w.poll_all(0s).empty());
    CHECK(w.planner.next_deadline() == at(20s));

    SUBCASE("missing: one rank fewer, though its copy counts still") {
        w.table.on_missing(fake_node(1), at(5s));
        w.planner.on_node_changed(fake_node(1), at(5s));
        CHECK(w.planner.copies(fake_item(item)) == 3);
        CHECK(w.poll_all(5s).empty());
        CHECK(w.planner.next_deadline() == at(10s));
        CHECK(w.poll_all(10s).size() == 2);
    }
    SUBCASE("somebody acts: the others keep waiting") {
        w.planner.on_copy(fake_item(item), fake_node(3), at(15s));
        CHECK(w.poll_all(15s).empty());
        CHECK(*w.planner.next_deadline() >= at(35s));
    }
    SUBCASE("nobody acts: we do") {
        CHECK(w.poll_all(20s).size() == 2);
    }
}

TEST_CASE("whoever is missing counts within its grace period, unless only those alive do") {
    for (const bool counts_missing : {true, false}) {
        CAPTURE(counts_missing);
        auto options = publisher();
        options.counts_missing = counts_missing;
        World w(10, options);
        w.add(1);
        const auto targets = w.targets(0s);
        REQUIRE(targets.size() == 4);
        for (const NodeId& node : targets)
            w.planner.on_copy(fake_item(1), node, at(1s));
        w.table.on_missing(targets[0], at(2s));
        w.planner.on_node_changed(targets[0], at(2s));
        CHECK(w.planner.copies(fake_item(1)) == (counts_missing ? 4 : 3));
        CHECK(w.targets(2s).size() == (counts_missing ? 0 : 1));
        w.table.on_alive(fake_record(w.number_of(targets[0])), at(3s));
        w.planner.on_node_changed(targets[0], at(3s));
        CHECK(w.planner.copies(fake_item(1)) == 4);
        w.planner.check_invariants();
    }
}

TEST_CASE("a holder leaves a new item alone until it has heard who else holds it") {
    CopyPlanner::Options options = holder();
    options.settle = 20s;
    World w(8, options);
    w.add(1);
    CHECK(w.poll_all(0s).empty());
    w.add(2);
    CHECK(w.poll_all(5s).empty());
    for (std::uint32_t i = 1; i <= 3; ++i)
        w.planner.on_copy(fake_item(2), fake_node(i), at(15s));
    CHECK(w.poll_all(20s - 1ns).empty());
    CHECK(w.poll_all(20s).size() == 3);
    CHECK(w.poll_all(40s).empty());
    // Later losses are acted on without that delay, at our rank's turn.
    w.planner.on_no_copy(fake_item(2), fake_node(1), at(50s));
    w.planner.on_no_copy(fake_item(2), fake_node(2), at(50s));
    w.planner.on_no_copy(fake_item(2), fake_node(3), at(50s));
    CHECK(w.poll_all(50s).size() == 3);
}

TEST_CASE("holders, invited nodes and self are not invited") {
    World w(6, publisher());
    w.add(1);
    const auto ranked = w.ranked(1);
    w.planner.on_copy(fake_item(1), ranked[0], at(0s));
    w.planner.on_copy(fake_item(1), fake_node(0), at(0s));  // is not a holder other than self
    CHECK(w.planner.copies(fake_item(1)) == 1);
    CHECK(w.targets(0s) == slice(ranked, 1, 4));
    CHECK(w.poll_all(1s).empty());
    w.planner.on_copy(fake_item(1), ranked[1], at(1s));
    CHECK(w.poll_all(1s).empty());
}

TEST_CASE("an item below its target is brought to target and spare in one breath") {
    CopyPlanner::Options options = holder();
    options.spare = 2;
    options.spare_from = 0;
    World w(20, options);
    w.add(1);
    const auto invited = w.targets(0s);
    REQUIRE(invited.size() == 5);  // with the copy kept here, six
    for (const NodeId& node : slice(invited, 0, 2))
        w.planner.on_copy(fake_item(1), node, at(1s));
    CHECK(w.poll_all(1s).empty());  // the other three are on their way
    w.planner.on_invite_failed(fake_item(1), invited[2], at(2s));
    CHECK(w.poll_all(2s).size() == 1);  // below the target still

    SUBCASE("at the target, what became of a spare one does not matter") {
        w.planner.on_copy(fake_item(1), invited[3], at(3s));
        w.planner.on_invite_failed(fake_item(1), invited[4], at(3s));
        CHECK(w.planner.counts().in_flight == 1);
        CHECK(w.poll_all(1h).empty());
    }
    SUBCASE("at the target and above nothing is begun; below it, all again") {
        for (const NodeId& node : slice(invited, 3, 5))
            w.planner.on_copy(fake_item(1), node, at(3s));
        CHECK(w.planner.copies(fake_item(1)) == 5);
        w.planner.on_no_copy(fake_item(1), invited[0], at(10min));
        CHECK(w.planner.copies(fake_item(1)) == 4);
        CHECK(w.poll_all(1h).empty());
        w.planner.on_no_copy(fake_item(1), invited[1], at(2h));
        std::size_t begun = w.poll_all(2h).size();
        for (Duration now = 2h; now < 2h + 1min; now += 10s)  // until it is our turn
            begun += w.poll_all(now).size();
        CHECK(begun == 3);
    }
}

TEST_CASE("a first loss is made good and no more; where holders come and go, one more is made") {
    World w(20, holder());
    const auto item = fake_item(1);
    w.add(1);
    // As one after the other goes, those that replace them are there at once.
    std::vector<std::size_t> invited;
    const auto make_all = [&](Duration now) {
        std::size_t made = 0;
        for (const Duration end = now + 2min; now < end; now += 10s)
            for (const auto& node : w.targets(now)) {
                w.planner.on_copy(item, node, at(now));
                ++made;
            }
        invited.push_back(made);
    };
    const auto lose_one = [&](Duration now) {
        for (const auto& node : w.planner.holders(item)) {
            if (!w.table.is_alive(node)) continue;
            w.table.on_goodbye(node, at(now));
            w.planner.on_node_changed(node, at(now));
            return;
        }
    };
    make_all(0s);
    for (int hour = 1; hour <= 5; ++hour) {
        lose_one(std::chrono::hours(hour));
        make_all(std::chrono::hours(hour));
    }
    // The second one away brings a spare copy, which makes good for the third.
    CHECK(invited == std::vector<std::size_t>{3, 1, 2, 0, 2, 0});
}

TEST_CASE("spare copies are not aimed at beyond the limit, nor for a target of none") {
    CopyPlanner::Options options = publisher();
    options.spare = 1000;
    options.spare_from = 0;
    World w(30, options);
    w.add(1, 0);
    CHECK(w.targets(0s).empty());
    w.add(2, 1);
    CHECK(w.targets(0s).size() == limits::copies_max);
}

}  // namespace
}  // namespace flow29::proto
