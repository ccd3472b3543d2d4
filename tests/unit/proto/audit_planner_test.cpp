// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/audit_planner.hpp"

#include <doctest/doctest.h>

#include <set>

#include "copy_world.hpp"

namespace flow29::proto {
namespace {

using Outcome = AuditPlanner::Outcome;

/// A world in which node 1 keeps `items` items and nodes 2 and 3 one each.
struct Audited {
    World w{10, holder()};
    AuditPlanner planner;

    explicit Audited(std::uint32_t items, AuditPlanner::Options options = {})
        : planner(w.table, w.planner, options) {
        for (std::uint32_t i = 1; i <= items; ++i) {
            w.add(i);
            w.planner.on_copy(fake_item(i), fake_node(1), at(0s));
        }
        w.planner.on_copy(fake_item(1), fake_node(2), at(0s));
        w.planner.on_copy(fake_item(1), fake_node(3), at(0s));
    }

    /// Probes from the start to `end`, polled whenever one is due; all end with `outcome`.
    std::vector<AuditPlanner::Probe> run(Duration end, Outcome outcome = Outcome::passed) {
        std::vector<AuditPlanner::Probe> probes;
        TimePoint now = at(0s);
        while (now <= at(end)) {
            while (const auto probe = planner.poll(now)) {
                probes.push_back(*probe);
                static_cast<void>(planner.on_outcome(*probe, outcome));
            }
            now = std::max(now + Duration(1ms), planner.next_deadline().value_or(at(end) + 1s));
        }
        return probes;
    }
};

TEST_CASE("each holder is probed as often as the period says, whatever it holds") {
    Audited audited(200, {.period = 1h, .probes_per_period = 44});
    std::map<NodeId, unsigned> count;
    for (const auto& probe : audited.run(10h))
        ++count[probe.node];
    REQUIRE(count.size() == 3);
    for (const auto& [node, probes] : count) {
        CHECK(probes >= 439);
        CHECK(probes <= 441);
    }
}

TEST_CASE("probes are drawn from all that a node is believed to keep, and from nothing else") {
    Audited audited(20);
    std::set<ItemId> of_first;
    std::set<ItemId> of_second;
    for (const auto& probe : audited.run(20h)) {
        if (probe.node == fake_node(1)) of_first.insert(probe.item);
        if (probe.node == fake_node(2)) of_second.insert(probe.item);
    }
    CHECK(of_first.size() == 20);
    CHECK(of_second == std::set{fake_item(1)});
}

TEST_CASE("who lacks a tenth is found within a period in 99 of 100 cases") {
    CHECK(AuditPlanner::detection(0.1, AuditPlanner::Options{}.probes_per_period) >= 0.99);
    unsigned found = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        Audited audited(50, {.seed = seed});
        bool caught = false;
        for (const auto& probe : audited.run(1h)) {
            bool lacked = false;
            for (std::uint32_t i = 1; i <= 5; ++i)
                lacked = lacked || probe.item == fake_item(i);
            caught = caught || (probe.node == fake_node(1) && lacked);
        }
        found += caught ? 1 : 0;
    }
    CHECK(found >= 190);
}

TEST_CASE("a wrong answer fails at once, silence only when it lasts") {
    Audited audited(3, {.silent_max = 3});
    REQUIRE_FALSE(audited.planner.poll(at(0s)));  // their first moments are drawn
    const auto probe = audited.planner.poll(at(2h));
    REQUIRE(probe);
    CHECK(audited.planner.on_outcome(*probe, Outcome::failed));
    CHECK_FALSE(audited.planner.on_outcome(*probe, Outcome::silent));
    CHECK_FALSE(audited.planner.on_outcome(*probe, Outcome::silent));
    CHECK_FALSE(audited.planner.on_outcome(*probe, Outcome::passed));
    CHECK_FALSE(audited.planner.on_outcome(*probe, Outcome::silent));
    CHECK_FALSE(audited.planner.on_outcome(*probe, Outcome::silent));
    CHECK(audited.planner.on_outcome(*probe, Outcome::silent));
    CHECK(audited.planner.counts().failed == 1);
    CHECK(audited.planner.counts().silent == 5);
    CHECK(audited.planner.counts().passed == 1);
}

TEST_CASE("missed time is not made up for") {
    Audited audited(3, {.period = 1h, .probes_per_period = 60});
    static_cast<void>(audited.run(1min));
    unsigned at_once = 0;
    while (audited.planner.poll(at(100h)))
        ++at_once;
    CHECK(at_once <= 6);
}

TEST_CASE("nobody is probed who is not there") {
    Audited audited(3);
    audited.w.table.on_missing(fake_node(1), at(1s));
    for (const auto& probe : audited.run(2h))
        CHECK(probe.node != fake_node(1));
}

}  // namespace
}  // namespace flow29::proto
