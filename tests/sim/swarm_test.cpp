// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

struct Run {
    std::string trace;
    std::uint64_t messages = 0;
};

/// Two hundred nodes join; files are published; a fifth of the nodes crash, half of these come
/// back; everything is fetched from nodes that never had it.
Run churn_run(std::uint64_t seed) {
    CAPTURE(seed);
    Swarm swarm({.seed = seed});
    swarm.grow_to(200, 200ms);
    swarm.world().run_for(1min);

    std::vector<Object> published;
    auto& random = swarm.world().random();
    for (const std::size_t size : {0UL, 1UL, 511UL, 512UL, 513UL, 70'000UL, 1'200'000UL}) {
        published.push_back(publish(
            swarm, {.publisher = random() % swarm.size(), .bytes = size, .seed = random()}));
        CHECK(published.back().result.copies.min >= 4);
        CHECK(published.back().result.shortfall.empty());
    }
    for (const auto& object : published)
        CHECK(copies(swarm, object) >= 4);

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
        swarm.world().run_for(15s);
    }
    for (std::size_t i = 0; i < down.size(); i += 2)
        swarm.restart(down[i]);
    swarm.world().run_for(10min);

    for (const auto& object : published) {
        CHECK(copies(swarm, object) >= 4);
        std::size_t reader = random() % swarm.size();
        while (!swarm.up(reader))
            reader = random() % swarm.size();
        CHECK(readable(swarm, object, reader));
    }
    return {swarm.world().trace_hash(), swarm.world().traced()};
}

}  // namespace

TEST_CASE("a fetch gives back what was published, byte for byte") {
    Swarm swarm({.seed = 7});
    swarm.grow_to(8, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 300'000, .seed = 3});
    CHECK(object.result.copies.min == 4);
    const auto fetched = swarm.fetch(7, object.root);
    REQUIRE(fetched.has_value());
    CHECK(*fetched == object.content);
}

TEST_CASE("two hundred nodes keep every file through crashes, twice with the same trace") {
    const auto first = churn_run(2929);
    const auto second = churn_run(2929);
    CHECK(first.messages > 1000);
    CHECK(first.messages == second.messages);
    CHECK(first.trace == second.trace);
}
