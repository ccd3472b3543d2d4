// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/copy_planner.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "copy_world.hpp"

namespace flow29::proto {
namespace {

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
        CHECK(w.planner.take_silent().empty());
    }
    SUBCASE("most have it from there") {
        w.planner.on_copy(fake_item(1), lead, at(3s));
        w.planner.on_copy(fake_item(1), follower, at(3s));
        CHECK(pulled(invitations[2].target, 4s) == lead);
        w.planner.on_copy(fake_item(1), invitations[2].target, at(5s));
        CHECK_FALSE(pulled(invitations[3].target, 6s));
        CHECK(w.planner.take_silent() == std::set<NodeId>{invitations[3].target});
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
    SUBCASE("it was given up, answers after all, and pulls") {
        w.planner.on_invite_failed(fake_item(1), lead, at(3s));
        w.planner.on_answer(fake_item(1), lead, InviteAnswer::accepted, at(4s));
        CHECK_FALSE(pulled(lead, 1min));
    }
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

}  // namespace
}  // namespace flow29::proto
