// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <chrono>

#include "sim/object.hpp"

// Whom and what a node blocks.

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

TEST_CASE("a blocked object is let go and made elsewhere, a blocked node is not counted on") {
    Swarm swarm({.seed = 56, .grace = 30min, .audit_period = 24h});
    swarm.grow_to(10, 500ms);
    swarm.world().run_for(30s);
    const auto content = random_content(1, 300'000);
    const auto result = swarm.publish(0, content, request_of(24h, false));
    REQUIRE(result.has_value());
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    const auto blocker = swarm.keepers(descriptor, 0).front();
    const auto hex = to_hex(result->root);

    const auto list = swarm.finish(blocker, swarm.engine(blocker).blocker().set(hex, true));
    REQUIRE(list.has_value());
    CHECK(list->roots == std::vector{result->root});
    CHECK(swarm.store(blocker).usage().extents == 0);
    swarm.world().run_for(2min);
    CHECK(swarm.copies(result->root, descriptor, 0) >= 4);
    const auto refused = swarm.fetch(blocker, result->root);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::refused);
    const auto published = swarm.publish(blocker, content, request_of(24h, false));
    REQUIRE_FALSE(published.has_value());
    CHECK(published.error().code == Errc::refused);

    // It is durable, and asking changes nothing.
    swarm.crash(blocker);
    swarm.world().run_for(1s);
    swarm.restart(blocker);
    swarm.world().run_for(2min);
    CHECK(swarm.store(blocker).usage().extents == 0);
    const auto ended = swarm.finish(blocker, swarm.engine(blocker).blocker().set(hex, false));
    REQUIRE(ended.has_value());
    CHECK(ended->roots.empty());
    const auto fetched = swarm.fetch(blocker, result->root);
    REQUIRE(fetched.has_value());
    CHECK(*fetched == content);

    // A holder that blocks another one makes do without it.
    const auto holder = swarm.keepers(descriptor, 0).front();
    const auto other = swarm.keepers(descriptor, 0).back();
    const auto alive = swarm.engine(holder).table().alive();
    const auto nodes =
        swarm.finish(holder, swarm.engine(holder).blocker().set(to_hex(swarm.id(other)), true));
    REQUIRE(nodes.has_value());
    CHECK(nodes->nodes == std::vector{swarm.id(other)});
    CHECK(nodes->roots.empty());
    swarm.world().run_for(2min);
    CHECK_FALSE(swarm.engine(holder).table().counts(swarm.id(other)));
    CHECK(swarm.engine(holder).table().alive() == alive - 1);
    const auto again =
        swarm.finish(holder, swarm.engine(holder).blocker().set(to_hex(swarm.id(other)), false));
    REQUIRE(again.has_value());
    swarm.world().run_for(3min);
    CHECK(swarm.engine(holder).table().is_alive(swarm.id(other)));
}

TEST_CASE("who is turned away comes back ever more rarely, and is at home again when welcome") {
    Swarm swarm({.seed = 57, .audit_period = 24h});
    swarm.grow_to(5, 500ms);
    swarm.world().run_for(30s);
    const auto block = [&swarm](bool blocked) {
        const auto list =
            swarm.finish(1, swarm.engine(1).blocker().set(to_hex(swarm.id(2)), blocked));
        REQUIRE(list.has_value());
    };
    auto& dials = swarm.network().dials[swarm.endpoint(1)];
    block(true);
    const auto before = dials;
    swarm.world().run_for(2min);
    CHECK(dials > before);
    CHECK(dials - before < 20);
    CHECK_FALSE(swarm.engine(2).table().is_alive(swarm.id(1)));
    block(false);
    swarm.world().run_for(5min);
    CHECK(swarm.engine(1).table().is_alive(swarm.id(2)));
    CHECK(swarm.engine(2).table().is_alive(swarm.id(1)));
}
