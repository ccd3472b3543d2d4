// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/swarm.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

struct Run {
    std::string trace;
    std::uint64_t messages = 0;
};

core::Descriptor descriptor_on(Swarm& swarm, std::size_t node, const RootHash& root) {
    auto descriptor = swarm.store(node).descriptor(root);
    REQUIRE(descriptor.has_value());
    return *descriptor;
}

/// Two hundred nodes join; files are published; a fifth of the nodes crash, half of these come
/// back; everything is fetched from nodes that never had it.
Run churn_run(std::uint64_t seed) {
    CAPTURE(seed);
    Swarm swarm({.seed = seed});
    swarm.grow_to(200, 200ms);
    swarm.world().run_for(1min);

    struct Published {
        RootHash root;
        core::Descriptor descriptor;
        Bytes content;
        std::size_t publisher;
    };
    std::vector<Published> published;
    auto& random = swarm.world().random();
    for (const std::size_t size : {0UL, 1UL, 511UL, 512UL, 513UL, 70'000UL, 1'200'000UL}) {
        const auto publisher = random() % swarm.size();
        auto content = random_content(random(), size);
        auto result = swarm.publish(publisher, content);
        REQUIRE(result.has_value());
        CHECK(result->copies.min >= 4);
        CHECK(result->shortfall.empty());
        published.push_back({result->root, descriptor_on(swarm, publisher, result->root),
                             std::move(content), publisher});
    }
    for (const auto& object : published)
        CHECK(swarm.copies(object.root, object.descriptor, object.publisher) >= 4);

    // The publishers leave first, then whoever else is drawn.
    std::vector<std::size_t> down;
    for (const auto& object : published)
        if (swarm.up(object.publisher)) {
            swarm.crash(object.publisher);
            down.push_back(object.publisher);
        }
    while (down.size() < 40) {
        const auto victim = random() % swarm.size();
        if (!swarm.up(victim)) continue;
        swarm.crash(victim);
        down.push_back(victim);
        swarm.world().run_for(30s);
    }
    for (std::size_t i = 0; i < down.size(); i += 2)
        swarm.restart(down[i]);
    swarm.world().run_for(10min);

    for (const auto& object : published) {
        CHECK(swarm.copies(object.root, object.descriptor, std::nullopt) >= 4);
        std::size_t reader = random() % swarm.size();
        while (!swarm.up(reader))
            reader = random() % swarm.size();
        const auto fetched = swarm.fetch(reader, object.root);
        REQUIRE(fetched.has_value());
        CHECK(*fetched == object.content);
    }
    return {swarm.world().trace_hash(), swarm.world().traced()};
}

}  // namespace

TEST_CASE("a fetch gives back what was published, byte for byte") {
    Swarm swarm({.seed = 7});
    swarm.grow_to(8, 500ms);
    swarm.world().run_for(30s);
    const auto content = random_content(3, 300'000);
    const auto result = swarm.publish(0, content);
    REQUIRE(result.has_value());
    CHECK(result->copies.min == 4);
    const auto fetched = swarm.fetch(7, result->root);
    REQUIRE(fetched.has_value());
    CHECK(*fetched == content);
}

TEST_CASE("a swarm of three says how many copies it has, and makes the rest as nodes join") {
    Swarm swarm({.seed = 11});
    swarm.grow_to(3, 500ms);
    swarm.world().run_for(30s);
    const auto result = swarm.publish(0, random_content(5, 100'000));
    REQUIRE(result.has_value());
    CHECK(result->copies.min == 2);
    CHECK_FALSE(result->shortfall.empty());
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    swarm.grow_to(6, 1s);
    swarm.world().run_for(5min);
    CHECK(swarm.copies(result->root, descriptor, 0) >= 4);
}

TEST_CASE("copies are made again after holders crash, and not before the grace period") {
    Swarm swarm({.seed = 13, .grace = 2min});
    swarm.grow_to(12, 500ms);
    swarm.world().run_for(30s);
    const auto result = swarm.publish(0, random_content(6, 200'000));
    REQUIRE(result.has_value());
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    swarm.crash(0);
    std::size_t victim = 1;
    while (!swarm.store(victim).has_extent(descriptor.extents[0]))
        ++victim;
    swarm.world().run_for(5min);
    const auto before = swarm.copies(result->root, descriptor, std::nullopt);
    REQUIRE(before >= 4);
    swarm.crash(victim);
    swarm.world().run_for(1min);
    CHECK(swarm.copies(result->root, descriptor, std::nullopt) == before - 1);
    swarm.world().run_for(3min);
    CHECK(swarm.copies(result->root, descriptor, std::nullopt) >= 4);
}

TEST_CASE("a node that leaves hands over first, so nothing waits for its grace period") {
    Swarm swarm({.seed = 17, .grace = 30min});
    swarm.grow_to(10, 500ms);
    swarm.world().run_for(30s);
    const auto result = swarm.publish(0, random_content(8, 200'000), 4, 7);
    REQUIRE(result.has_value());
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    swarm.world().run_for(1min);
    // One after the other, until only the publisher and four more are left.
    for (std::size_t leaver = 1; leaver <= 5; ++leaver) {
        const bool held = swarm.store(leaver).descriptor(result->root).has_value();
        const auto departure = swarm.leave(leaver);
        REQUIRE(departure.has_value());
        CHECK(departure->left);
        CHECK(departure->below_target == 0);
        CHECK((departure->items > 0) == held);
        swarm.crash(leaver);  // its owner ends it
        CHECK(swarm.copies(result->root, descriptor, 0) >= 4);
        swarm.world().run_for(10s);
    }
    // Now everybody is needed.
    const auto refused = swarm.leave(6);
    REQUIRE(refused.has_value());
    CHECK_FALSE(refused->left);
    CHECK(refused->below_target > 0);
    CHECK(swarm.copies(result->root, descriptor, 0) == 4);
    const auto forced = swarm.leave(7, true);
    REQUIRE(forced.has_value());
    CHECK(forced->left);
}

TEST_CASE("a repair that is asked for does not wait for the grace period, whoever asks") {
    Swarm swarm({.seed = 23, .grace = 2h});
    swarm.grow_to(12, 500ms);
    const auto reader = swarm.add({.storing = false});
    swarm.world().run_for(30s);
    const auto result = swarm.publish(0, random_content(10, 200'000), 5, 7);
    REQUIRE(result.has_value());
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    swarm.crash(0);
    std::size_t victim = 1;
    while (!swarm.store(victim).has_extent(descriptor.extents[0]))
        ++victim;
    swarm.crash(victim);
    swarm.world().run_for(1min);
    CHECK(swarm.copies(result->root, descriptor, std::nullopt) == 4);
    const auto health = swarm.repair(reader, result->root);
    REQUIRE(health.has_value());
    CHECK(health->target == 5);
    CHECK(health->copies.min >= 5);
    CHECK(health->audited > 0);
    CHECK(health->publisher_may_leave);
    CHECK(swarm.copies(result->root, descriptor, std::nullopt) >= 5);
}

TEST_CASE("a holder that lost or never had a tenth is found within an audit period and replaced") {
    bool claims = false;
    SUBCASE("and says so when asked") {}
    SUBCASE("and claims to have it") {
        claims = true;
    }
    Swarm swarm({.seed = 19, .grace = 5min, .audit_period = 10min});
    swarm.grow_to(12, 500ms);
    swarm.world().run_for(30s);
    const auto result = swarm.publish(0, random_content(9, 100'000), 4, 0);
    REQUIRE(result.has_value());
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    swarm.world().run_for(1min);
    std::size_t holder = 1;
    auto lost = swarm.lose_extents(holder, descriptor, 10, claims);
    while (lost.empty())
        lost = swarm.lose_extents(++holder, descriptor, 10, claims);
    const auto fewest = [&] {
        unsigned least = ~0U;
        for (const auto& extent : lost) {
            unsigned copies = 0;
            for (std::size_t node = 1; node < swarm.size(); ++node)
                if (node != holder && swarm.store(node).has_extent(extent)) ++copies;
            least = std::min(least, copies);
        }
        return least;
    };
    CHECK(fewest() == 3);
    swarm.world().run_for(20min);
    CHECK(fewest() == 4);
}

TEST_CASE("two hundred nodes keep every file through crashes, twice with the same trace") {
    const auto first = churn_run(2929);
    const auto second = churn_run(2929);
    CHECK(first.messages > 1000);
    CHECK(first.messages == second.messages);
    CHECK(first.trace == second.trace);
}
