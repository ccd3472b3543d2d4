// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/copy_planner.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "copy_world.hpp"

namespace flow29::proto {
namespace {

TEST_CASE("once most have answered, who does not is soon given up, and called off if it answers") {
    CopyPlanner::Options options = publisher();
    options.answer_patience = 1s;
    World w(10, options);
    w.add(1);
    const auto ranked = w.ranked(1);
    REQUIRE(w.targets(0s) == slice(ranked, 0, 4));
    const NodeId silent = ranked[0];  // and it was to lead
    const auto accept = [&w](const NodeId& node, Duration now) {
        w.planner.on_answer(fake_item(1), node, InviteAnswer::accepted, at(now));
        w.planner.check_invariants();
    };
    accept(ranked[1], 10ms);
    SUBCASE("hardly anybody has, and it may well be this node's own line") {
        CHECK(w.targets(59s).empty());
        CHECK(w.planner.take_silent().empty());
    }
    SUBCASE("they answered at once") {
        accept(ranked[2], 20ms);
        CHECK(w.planner.next_deadline() == at(1s));
        CHECK(w.targets(1s - 1ns).empty());
        const auto instead = w.poll_all(1s);
        REQUIRE(instead.size() == 2);
        CHECK(instead[0].target == ranked[4]);
        CHECK(instead[0].leads);
        CHECK(w.planner.take_silent() == std::set<NodeId>{ranked[0], ranked[3]});
        CHECK(w.planner.take_silent().empty());
        CHECK_FALSE(w.planner.stuck(fake_item(1), at(1s), wall(1s)));
        // Not needed any more: it is told so. Still needed: it is on its way.
        accept(silent, 2s);
        const auto withdrawn = w.planner.take_withdrawn();
        REQUIRE(withdrawn.size() == 1);
        CHECK(withdrawn[0].target == silent);
        w.planner.on_invite_failed(fake_item(1), ranked[1], at(2s));
        accept(silent, 2s);
        CHECK(w.planner.take_withdrawn().empty());
        CHECK(std::ranges::count(w.planner.invited(fake_item(1)), silent) == 1);
        // It has answered, and so it is not given up again.
        accept(ranked[4], 2s);
        accept(ranked[5], 2s);
        CHECK(w.targets(30s).empty());
    }
    SUBCASE("they needed a second on average, as all do where the line is slow") {
        accept(ranked[2], 1'990ms);
        CHECK(w.planner.next_deadline() == at(4s));
        CHECK(w.targets(4s - 1ns).empty());
        CHECK(w.targets(4s).size() == 2);
    }
    SUBCASE("a refusal is an answer") {
        w.planner.on_answer(fake_item(1), ranked[2], InviteAnswer::full, at(20ms));
        CHECK(w.planner.next_deadline() == at(20ms));  // another one in its place
        CHECK(w.targets(20ms) == slice(ranked, 4, 5));
        CHECK(w.planner.next_deadline() == at(60s));  // three are waited for, and two answered
        w.planner.on_answer(fake_item(1), ranked[4], InviteAnswer::busy, at(30ms));
        CHECK(w.targets(30ms) == slice(ranked, 5, 6));
        CHECK(w.planner.next_deadline() == at(1s));
    }
}

TEST_CASE("who left an invitation without an answer comes after all others") {
    World w(6, publisher());
    const auto ranked = w.ranked(1);
    w.table.on_silent(ranked[0], at(10min));
    w.table.on_silent(fake_node(77), at(10min));  // never heard of
    w.add(1);
    CHECK(w.targets(0s) == slice(ranked, 1, 5));
    w.planner.remove_item(fake_item(1));
    w.add(1, 6);
    auto order = slice(ranked, 1, 6);
    order.push_back(ranked[0]);
    CHECK(w.targets(10min - 1ns) == order);
    w.planner.remove_item(fake_item(1));
    w.add(1);
    CHECK(w.targets(10min) == slice(ranked, 0, 4));
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

}  // namespace
}  // namespace flow29::proto
