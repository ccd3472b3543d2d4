// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t mib = 1 << 20;

core::AddressGroup group_of(const Swarm& swarm, std::size_t node) {
    return swarm.endpoint(node).group();
}

/// The most copies of any one item that share an address group, the publisher's left out.
std::size_t most_in_one_group(const Swarm& swarm, const Object& object) {
    std::size_t most = 0;
    for (const auto& item : object.items()) {
        // Whoever has an extent has the descriptor: there are more of these than were placed.
        if (item == object.descriptor_item()) continue;
        std::map<core::AddressGroup, std::size_t> in_group;
        for (const auto node : swarm.holders(item))
            if (node != object.publisher) most = std::max(most, ++in_group[group_of(swarm, node)]);
    }
    return most;
}

/// The most copies of any one extent, the publisher's left out.
std::size_t most_copies(const Swarm& swarm, const Object& object) {
    std::size_t most = 0;
    for (const auto& extent : object.descriptor.extents)
        most = std::max(most, copies(swarm, object, proto::ItemId::of(extent)));
    return most;
}

/// Of the extents' copies, how many lie on nodes from `first` on.
std::size_t copies_from(const Swarm& swarm, const Object& object, std::size_t first) {
    std::size_t count = 0;
    for (const auto& extent : object.descriptor.extents)
        for (const auto node : swarm.holders(proto::ItemId::of(extent)))
            if (node >= first && node != object.publisher) ++count;
    return count;
}

}  // namespace

TEST_CASE("growth from 8 to 64 nodes moves no byte, and the new ones find and fetch everything") {
    Swarm swarm({.seed = 51, .grace = 2min, .audit_period = no_audits});
    swarm.grow_to(8, 500ms);
    swarm.world().run_for(1min);
    std::vector<Object> objects;
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, 100 * mib / 1024, 6 * mib})
        objects.push_back(publish(swarm, {.publisher = bytes % 8, .bytes = bytes, .seed = bytes}));
    swarm.world().run_for(2min);
    std::vector<Holdings> before;
    for (const auto& object : objects)
        before.push_back(holdings(swarm, object));
    const auto data = swarm.network().data_bytes();
    const auto invited = swarm.network().sent("invite").messages;
    swarm.grow_to(64, 2s);
    swarm.world().run_for(15min);
    CHECK(swarm.network().data_bytes() == data);
    CHECK(swarm.network().sent("invite").messages == invited);
    for (std::size_t i = 0; i < objects.size(); ++i)
        CHECK(holdings(swarm, objects[i]) == before[i]);

    SUBCASE("with the records in the index") {}
    SUBCASE("and when the index has lost every record") {
        swarm.network().providers.clear();
    }
    for (std::size_t reader = 8; reader < 64; reader += 11)
        for (const auto& object : objects)
            CHECK(readable(swarm, object, reader));
}

TEST_CASE("what was published before the swarm grew is repaired on the nodes that came") {
    Swarm swarm({.seed = 52, .grace = 1min, .audit_period = no_audits});
    swarm.grow_to(8, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 3 * mib});
    swarm.world().run_for(30s);
    swarm.grow_to(40, 1s);
    swarm.world().run_for(5min);
    for (std::size_t node = 0; node < 8; ++node) {
        swarm.crash(node);
        swarm.world().run_for(5min);
        CHECK(copies(swarm, object) >= 4);
    }
    CHECK(readable(swarm, object, 30));
}

TEST_CASE("in a fresh swarm, where everybody is young, copies are made at once") {
    Swarm swarm({.seed = 53, .audit_period = no_audits});
    swarm.grow_to(6, 100ms);
    swarm.world().run_for(3s);
    const auto object = publish(swarm, {.bytes = 3 * mib});
    CHECK(object.result.copies.min == 4);
    CHECK(object.result.shortfall.empty());
    CHECK(copies(swarm, object) == 4);
}

TEST_CASE("young nodes get copies only when there are too few old ones, until they are old") {
    Swarm swarm({.seed = 54, .audit_period = no_audits});
    swarm.grow_to(9, 500ms);
    swarm.world().run_for(1h);
    swarm.grow_to(17, 500ms);
    swarm.world().run_for(2min);
    const auto old_enough = publish(swarm, {.bytes = 8 * mib, .seed = 1});
    CHECK(copies(swarm, old_enough) == 4);
    CHECK(copies_from(swarm, old_enough, 9) == 0);
    const auto many = publish(swarm, {.bytes = 2 * mib, .seed = 2, .copies = 12});
    CHECK(copies(swarm, many) == 12);
    CHECK(copies_from(swarm, many, 9) == 2 * 4);  // all eight old ones, and four more
    swarm.world().run_for(1h);
    const auto later = publish(swarm, {.bytes = 8 * mib, .seed = 3});
    CHECK(copies(swarm, later) == 4);
    const auto on_new = copies_from(swarm, later, 9);
    MESSAGE("of 32 copies " << on_new << " lie on the eight of sixteen nodes that came later");
    CHECK(on_new > 6);
    CHECK(on_new < 26);
}

TEST_CASE("what was published in a swarm of three shows as degraded, and reaches four by itself") {
    Swarm swarm({.seed = 55, .audit_period = no_audits});
    swarm.grow_to(3, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 2 * mib});
    CHECK(object.result.copies.min == 2);
    CHECK(object.result.target == 4);
    CHECK_FALSE(object.result.shortfall.empty());
    const auto reader = swarm.add({.storing = false});
    unsigned seen = 2;
    for (std::size_t nodes = 3; nodes <= 6; ++nodes) {
        if (nodes > 3) swarm.add();
        swarm.world().run_for(5min);
        const auto health = swarm.health(reader, object.root);
        REQUIRE(health.has_value());
        CHECK(health->target == 4);
        CHECK(health->copies.min == std::min<std::size_t>(nodes - 1, 4));
        CHECK(health->publisher_may_leave == (nodes > 4));
        CHECK((health->at_risk_chunks == 0) == (nodes > 4));
        CHECK(health->copies.min >= seen);
        seen = static_cast<unsigned>(health->copies.min);
    }
    CHECK(seen == 4);
}

TEST_CASE("with enough address groups no two of the four copies share one") {
    Swarm swarm({.seed = 56, .grace = 1min, .nodes_per_group = 4, .audit_period = no_audits});
    swarm.grow_to(32, 500ms);
    swarm.world().run_for(1min);
    const auto object = publish(swarm, {.bytes = 12 * mib});
    swarm.world().run_for(1min);
    CHECK(copies(swarm, object) == 4);
    CHECK(most_in_one_group(swarm, object) == 1);
    const auto reader = swarm.add({.storing = false});
    const auto health = swarm.health(reader, object.root);
    REQUIRE(health.has_value());
    CHECK(health->groups >= 4);

    SUBCASE("after repairs") {}
    SUBCASE("after repairs in a swarm that grew") {
        // Newcomers in the groups of the holders may rank before the holders themselves.
        swarm.grow_to(32 + 1 + 31, 500ms);
        swarm.world().run_for(15min);
    }
    for (std::size_t victim = 1; victim < 32; victim += 6) {
        swarm.crash(victim);
        swarm.world().run_for(4min);
        CHECK(copies(swarm, object) >= 4);
        CHECK(most_in_one_group(swarm, object) == 1);
        CHECK(most_copies(swarm, object) <= 5);  // a spare one where two were lost
    }
}

TEST_CASE("with fewer address groups than copies all are made, and health says how many groups") {
    Swarm swarm({.seed = 57, .grace = 1min, .nodes_per_group = 10, .audit_period = no_audits});
    swarm.grow_to(20, 500ms);
    const auto reader = swarm.add({.storing = false});
    swarm.world().run_for(1min);
    const auto object = publish(swarm, {.bytes = 6 * mib});
    swarm.world().run_for(1min);
    CHECK(copies(swarm, object) == 4);
    CHECK(most_in_one_group(swarm, object) == 2);
    const auto health = swarm.health(reader, object.root);
    REQUIRE(health.has_value());
    CHECK(health->copies.min == 4);
    CHECK(health->groups == 2);
}

TEST_CASE("a node that leaves hands over first, so nothing waits for its grace period") {
    Swarm swarm({.seed = 17, .grace = 30min});
    swarm.grow_to(10, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 200'000, .seed = 8, .copies = 4, .level = 7});
    swarm.world().run_for(1min);
    // One after the other, until only the publisher and four more are left.
    for (std::size_t leaver = 1; leaver <= 5; ++leaver) {
        const bool held = swarm.store(leaver).descriptor(object.root).has_value();
        const auto departure = swarm.leave(leaver);
        REQUIRE(departure.has_value());
        CHECK(departure->left);
        CHECK(departure->below_target == 0);
        CHECK((departure->items > 0) == held);
        swarm.crash(leaver);  // its owner ends it
        CHECK(copies(swarm, object) >= 4);
        swarm.world().run_for(10s);
    }
    // Now everybody is needed.
    const auto refused = swarm.leave(6);
    REQUIRE(refused.has_value());
    CHECK_FALSE(refused->left);
    CHECK(refused->below_target > 0);
    CHECK(copies(swarm, object) == 4);
    const auto forced = swarm.leave(7, true);
    REQUIRE(forced.has_value());
    CHECK(forced->left);
}
