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

TEST_CASE("of those invited for an item without a live copy, one leads") {
    World w(10, publisher());
    w.add(1);
    const auto invitations = w.poll_all(0s);
    REQUIRE(invitations.size() == 4);
    for (std::size_t i = 0; i < 4; ++i)
        CHECK(invitations[i].leads == (i == 0));
    auto all = w.planner.invited(fake_item(1));
    CHECK(all.size() == 4);
    for (const auto& invitation : invitations)
        CHECK(std::ranges::count(all, invitation.target) == 1);
    CHECK(w.planner.invited(fake_item(2)).empty());
    // Accepting changes nothing of that.
    for (const auto& invitation : invitations)
        w.planner.on_answer(fake_item(1), invitation.target, InviteAnswer::accepted, at(1s));
    w.planner.check_invariants();
    // One that only follows is replaced by one that follows.
    w.planner.on_invite_failed(fake_item(1), invitations[2].target, at(2s));
    const auto follower = w.poll_all(2s);
    REQUIRE(follower.size() == 1);
    CHECK_FALSE(follower[0].leads);
    // The one that leads is replaced by one that leads.
    w.planner.on_invite_failed(fake_item(1), invitations[0].target, at(3s));
    const auto leader = w.poll_all(3s);
    REQUIRE(leader.size() == 1);
    CHECK(leader[0].leads);
    // Once there is a copy, nobody needs to.
    w.planner.on_copy(fake_item(1), leader[0].target, at(4s));
    w.planner.on_invite_failed(fake_item(1), invitations[1].target, at(5s));
    const auto after = w.poll_all(5s);
    REQUIRE(after.size() == 1);
    CHECK_FALSE(after[0].leads);
}

TEST_CASE(
    "who leads, says that it has it, and has others pull it from the publisher leads poorly") {
    World w(10, publisher());
    w.add(1);
    const auto invitations = w.poll_all(0s);
    REQUIRE(invitations.size() == 4);
    REQUIRE(invitations[0].leads);
    const NodeId lead = invitations[0].target;
    const NodeId follower = invitations[1].target;
    const auto pulled = [&](const NodeId& node, Duration now, std::uint32_t item = 1) {
        return w.planner.on_pulled(fake_item(item), node, at(now));
    };
    for (const auto& invitation : invitations)
        w.planner.on_answer(fake_item(1), invitation.target, InviteAnswer::accepted, at(1s));
    CHECK_FALSE(pulled(lead, 1s));
    CHECK_FALSE(pulled(follower, 2s, 7));
    SUBCASE("it has it") {
        w.planner.on_copy(fake_item(1), lead, at(3s));
        CHECK_FALSE(pulled(fake_node(77), 3s));  // never invited
        CHECK(pulled(follower, 3s) == lead);
        CHECK_FALSE(pulled(follower, 4s));  // said once
        w.planner.on_copy(fake_item(1), follower, at(4s));
        CHECK(pulled(invitations[2].target, 4s) == lead);
        w.planner.on_no_copy(fake_item(1), lead, at(4s));
        CHECK_FALSE(pulled(invitations[3].target, 4s));
    }
    SUBCASE("it is about to say so") {
        CHECK_FALSE(pulled(follower, 2s));
        w.planner.on_answer(fake_item(1), follower, InviteAnswer::accepted, at(2s));
        w.planner.on_copy(fake_item(1), lead, at(3s));
        CHECK_FALSE(pulled(follower, 3s));  // it goes on
    }
    SUBCASE("it is silent") {
        const auto until = 1s + CopyPlanner::Options().lead_patience;
        CHECK_FALSE(pulled(follower, until - 1ns));
        CHECK(pulled(invitations[2].target, until) == lead);
        w.planner.on_sign_of_life(lead, at(until));
        CHECK_FALSE(pulled(invitations[3].target, until + 1s));
    }
    SUBCASE("it was given up") {
        w.planner.on_invite_failed(fake_item(1), lead, at(3s));
        CHECK_FALSE(pulled(follower, 1min));
    }
    w.planner.check_invariants();
}

TEST_CASE("an invitation of a node that goes missing is given up, and what comes late counts") {
    World w(10, publisher());
    w.add(1);
    const auto invited = w.targets(0s);
    REQUIRE(invited.size() == 4);
    w.planner.on_answer(fake_item(1), invited[2], InviteAnswer::accepted, at(1s));
    w.table.on_missing(invited[2], at(2s));
    w.planner.on_node_changed(invited[2], at(2s));
    w.planner.check_invariants();
    const auto instead = w.targets(2s);
    REQUIRE(instead.size() == 1);
    CHECK(std::ranges::count(invited, instead[0]) == 0);
    w.planner.on_copy(fake_item(1), invited[2], at(3s));
    CHECK(w.planner.copies(fake_item(1)) == 1);
    CHECK(w.planner.invited(fake_item(1)).size() == 3);
    w.planner.check_invariants();
}

TEST_CASE("a poor lead does not lead while anybody else can be invited after it") {
    World w(10, publisher());
    const auto ranked = w.ranked(1);
    w.table.on_poor_lead(ranked[0], at(10min));
    w.table.on_poor_lead(ranked[1], at(10min));
    const auto lead = [&w](Duration now) {
        w.add(1);
        std::vector<NodeId> leads;
        for (const auto& invitation : w.poll_all(now))
            if (invitation.leads) leads.push_back(invitation.target);
        w.planner.remove_item(fake_item(1));
        REQUIRE(leads.size() == 1);
        return leads[0];
    };
    CHECK(lead(0s) == ranked[2]);
    CHECK(lead(10min) == ranked[0]);
}

TEST_CASE("where all are poor leads the last that is invited leads nevertheless") {
    for (const std::uint32_t nodes : {2, 4, 8}) {
        World w(nodes, publisher());
        for (const NodeId& node : w.ranked(1))
            w.table.on_poor_lead(node, at(1min));
        w.add(1);
        const auto invitations = w.poll_all(0s);
        REQUIRE(invitations.size() == std::min<std::size_t>(nodes, 4));
        CHECK(std::ranges::count_if(invitations, [](const auto& i) { return i.leads; }) == 1);
        CHECK(invitations.back().leads);
    }
}

TEST_CASE("a holder that invites for what it holds itself lets one lead as well") {
    World w(10, holder());
    w.add(1);
    const auto invitations = w.poll_all(0s);
    REQUIRE(invitations.size() == 3);
    CHECK(invitations[0].leads);
    CHECK_FALSE(invitations[1].leads);
}

TEST_CASE("a sign of life keeps all invitations of its node young, and nobody else's") {
    World w(10, publisher());
    w.add(1);
    w.add(2);
    const auto invitations = w.poll_all(0s);
    REQUIRE(invitations.size() == 8);
    const NodeId lively = invitations[0].target;
    w.planner.on_sign_of_life(lively, at(50s));
    w.planner.on_sign_of_life(fake_node(77), at(50s));  // never heard of
    w.planner.check_invariants();
    CHECK(w.planner.next_deadline() == at(60s));
    (void)w.poll_all(60s);
    // At 60 s everybody else was given up, and others were invited in their place.
    for (const auto& item : {fake_item(1), fake_item(2)})
        w.planner.on_answer(item, lively, InviteAnswer::full, at(61s));
    w.planner.check_invariants();
    CHECK(w.planner.counts().in_flight >= 6);
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

TEST_CASE("who refuses is not asked again before the retry time") {
    for (const auto answer : {InviteAnswer::full, InviteAnswer::refused, InviteAnswer::over_quota,
                              InviteAnswer::busy}) {
        CAPTURE(static_cast<int>(answer));
        const Duration pause = answer == InviteAnswer::busy ? Duration(15s) : Duration(2min);
        World w(5, publisher());
        w.add(1, 1);
        const auto ranked = w.ranked(1);
        CHECK(w.targets(0s) == slice(ranked, 0, 1));
        w.planner.on_answer(fake_item(1), ranked[0], answer, at(1s));
        CHECK(w.targets(1s) == slice(ranked, 1, 2));
        for (std::size_t i = 1; i < 5; ++i) {
            w.planner.on_answer(fake_item(1), ranked[i], InviteAnswer::refused, at(2s));
            CHECK(w.targets(2s).size() == (i < 4 ? 1 : 0));
        }
        // Who is only busy will be asked again before long.
        CHECK(w.planner.stuck(fake_item(1), at(2s), wall(2s)) != (answer == InviteAnswer::busy));
        CHECK(w.planner.next_deadline() == at(1s + pause));
        CHECK(w.targets(1s + pause - 1ns).empty());
        CHECK(w.targets(1s + pause) == slice(ranked, 0, 1));
        CHECK_FALSE(w.planner.stuck(fake_item(1), at(1s + pause), wall(0s)));
    }
}

TEST_CASE("an invited node that failed is treated as one that refused") {
    World w(5, publisher());
    w.add(1, 1);
    const auto ranked = w.ranked(1);
    CHECK(w.targets(0s) == slice(ranked, 0, 1));
    w.planner.on_invite_failed(fake_item(1), ranked[0], at(1s));
    w.planner.on_invite_failed(fake_item(1), ranked[3], at(1s));  // was not invited
    CHECK(w.targets(1s) == slice(ranked, 1, 2));
    w.planner.on_invite_failed(fake_item(1), ranked[1], at(3min));
    CHECK(w.targets(3min) == slice(ranked, 0, 1));
}

TEST_CASE("an unanswered invitation is given up after the patience") {
    World w(5, publisher());
    w.add(1, 1);
    const auto ranked = w.ranked(1);
    CHECK(w.targets(0s) == slice(ranked, 0, 1));
    CHECK(w.planner.next_deadline() == at(60s));
    CHECK(w.targets(60s - 1ns).empty());
    CHECK(w.targets(60s) == slice(ranked, 1, 2));

    // A late success counts all the same.
    w.planner.on_copy(fake_item(1), ranked[0], at(61s));
    CHECK(w.planner.copies(fake_item(1)) == 1);
    CHECK(w.planner.counts().under_target == 0);
    CHECK(w.targets(10min).empty());
}

TEST_CASE("patience runs since the last sign of life") {
    for (const auto answer : {InviteAnswer::accepted, InviteAnswer::coming}) {
        World w(5, publisher());
        w.add(1, 1);
        const auto ranked = w.ranked(1);
        CHECK(w.targets(0s).size() == 1);
        for (int i = 1; i <= 10; ++i)
            w.planner.on_answer(fake_item(1), ranked[0], answer, at(50s * i));
        CHECK(w.planner.counts().in_flight == 1);
        CHECK(w.targets(500s + 59s).empty());
        CHECK(w.targets(500s + 60s) == slice(ranked, 1, 2));
        // A sign of life of one given up: it is on its way again, and two are.
        w.planner.on_answer(fake_item(1), ranked[0], answer, at(561s));
        CHECK(w.planner.counts().in_flight == 2);
        w.planner.check_invariants();
    }
}

TEST_CASE("who holds it already is a copy") {
    World w(5, publisher());
    w.add(1, 1);
    const auto targets = w.targets(0s);
    REQUIRE(targets.size() == 1);
    w.planner.on_answer(fake_item(1), targets[0], InviteAnswer::held, at(1s));
    CHECK(w.planner.copies(fake_item(1)) == 1);
    CHECK(w.planner.holders(fake_item(1)) == targets);
    CHECK(w.planner.items_of(targets[0]) == std::vector{fake_item(1)});
}

TEST_CASE("when a holder comes back, the invitation in its place is called off") {
    CopyPlanner::Options options = publisher();
    options.spare = 0;
    World w(10, options);
    w.add(1, 3);
    const auto ranked = w.ranked(1);
    CHECK(w.targets(0s) == slice(ranked, 0, 3));
    for (std::size_t i = 0; i < 3; ++i)
        w.planner.on_copy(fake_item(1), ranked[i], at(1s));
    CHECK(w.planner.take_withdrawn().empty());
    w.table.on_goodbye(ranked[0], at(2s));
    w.planner.on_node_changed(ranked[0], at(2s));
    w.table.on_goodbye(ranked[1], at(3s));
    w.planner.on_node_changed(ranked[1], at(3s));
    const auto invited = w.targets(4s);
    REQUIRE(invited.size() == 2);
    w.planner.on_answer(fake_item(1), invited[0], InviteAnswer::accepted, at(5s));
    w.planner.on_answer(fake_item(1), invited[1], InviteAnswer::accepted, at(6s));

    w.table.on_alive(fake_record(w.number_of(ranked[0])), at(7s));
    w.planner.on_node_changed(ranked[0], at(7s));
    const auto withdrawn = w.planner.take_withdrawn();
    REQUIRE(withdrawn.size() == 1);
    CHECK(withdrawn[0].item == fake_item(1));
    CHECK(withdrawn[0].target == invited[1]);
    CHECK(w.planner.take_withdrawn().empty());
    CHECK(w.planner.counts().in_flight == 1);
    // Too late for the message: what came all the same counts.
    w.planner.on_copy(fake_item(1), invited[1], at(8s));
    CHECK(w.planner.copies(fake_item(1)) == 3);
    CHECK(w.planner.take_withdrawn().size() == 1);
    w.planner.check_invariants();
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
