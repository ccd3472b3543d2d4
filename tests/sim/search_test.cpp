// SPDX-License-Identifier: GPL-3.0-or-later
// When a search is given up: soon if nobody has the object, and not while somebody is away who may.
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {
constexpr std::size_t nodes = 24;
constexpr Duration soon = 20s;  // a fetch is patient for a minute
constexpr Duration away = 40s;  // longer than what is soon, shorter than the grace period
}  // namespace

TEST_CASE("a root that nobody has is given up soon") {
    Swarm swarm({.seed = 29, .audit_period = no_audits});
    swarm.grow_to(nodes, 500ms);
    swarm.world().run_for(1min);
    for (std::uint8_t seed = 1; seed <= 4; ++seed) {
        CAPTURE(seed);
        RootHash root;
        root.bytes.fill(seed);
        const auto began = swarm.world().now();
        const auto fetched = swarm.fetch(seed, root);
        REQUIRE_FALSE(fetched.has_value());
        CHECK(fetched.error().code == Errc::not_found);
        CHECK(swarm.world().now() - began < soon);
    }
    // Neither is somebody who has just come kept longer.
    const auto newcomer = swarm.add({.storing = false});
    RootHash root;
    root.bytes.fill(29);
    const auto began = swarm.world().now();
    CHECK(swarm.fetch(newcomer, root).error().code == Errc::not_found);
    CHECK(swarm.world().now() - began < soon);
}

TEST_CASE("an object is waited for while its only holder is away") {
    Swarm swarm({.seed = 30, .audit_period = no_audits});
    swarm.grow_to(nodes, 500ms);
    const auto publisher = swarm.add({.storing = false});
    swarm.world().run_for(1min);
    const auto object = publish(swarm, {.publisher = publisher, .bytes = 100'000, .copies = 1});
    swarm.crash(publisher);
    swarm.world().run_for(1min);
    const auto holders = swarm.holders(proto::ItemId::of(object.root));
    REQUIRE_FALSE(holders.empty());
    const std::size_t reader = holders.front() == 1 ? 2 : 1;
    for (const auto holder : holders)
        swarm.crash(holder);
    auto& world = swarm.world();
    world.at(world.now() + away, [&] {
        for (const auto holder : holders)
            swarm.restart(holder);
    });
    const auto began = world.now();
    const auto fetched = swarm.fetch(reader, object.root);
    REQUIRE(fetched.has_value());
    CHECK(*fetched == object.content);
    CHECK(world.now() - began >= away);
}
