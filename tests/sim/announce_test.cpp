// SPDX-License-Identifier: GPL-3.0-or-later
// What keeping the index up costs: records put, by all nodes together.
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

TEST_CASE(
    "publishing as many extents as 1 GiB has takes at most 300 puts, and all can be located") {
    for (const std::uint64_t seed : {1, 2, 3}) {
        CAPTURE(seed);
        Swarm swarm({.seed = seed, .audit_period = no_audits});
        swarm.grow_to(32, 500ms);
        swarm.world().run_for(2min);
        const auto before = swarm.network().puts;
        // 256 extents of 1 KiB: the number counts, not their size.
        const auto object = publish(swarm, {.bytes = 256 << 10, .seed = seed, .level = 1});
        REQUIRE(object.descriptor.extents.size() == 256);
        CHECK(object.result.copies.min == 4);
        swarm.world().run_for(1min);
        const auto puts = swarm.network().puts - before;
        MESSAGE("puts: ", puts);
        CHECK(puts <= 300);

        const auto reader = swarm.add({.storing = false});
        swarm.world().run_for(10s);
        std::size_t without_record = 0;
        for (std::size_t i = 0; i < object.descriptor.extents.size(); i += 16) {
            const auto item = proto::ItemId::of(object.descriptor.extents[i]);
            const auto holders = swarm.holders(item);
            const auto records = swarm.network().providers[item.key(core::KeySpace())].size();
            if (records < holders.size()) ++without_record;
            const auto located = swarm.locate(reader, item);
            CHECK(located.size() >= 4);
        }
        CHECK(without_record > 0);
        CHECK(readable(swarm, object, reader));
    }
}

TEST_CASE("what the nodes forecast for an hour is what they put, within a fifth") {
    Swarm swarm({.seed = 5, .audit_period = no_audits});
    swarm.grow_to(12, 500ms);
    swarm.world().run_for(1min);
    // A record for every chunk: enough for an hour's count to mean something.
    const auto object = publish(swarm, {.bytes = 600 * 512, .level = 0});
    REQUIRE(object.descriptor.extents.size() == 600);
    swarm.world().run_for(10min);
    double forecast = 0;
    for (std::size_t node = 0; node < swarm.size(); ++node) {
        const auto status = swarm.status(node);
        CHECK_FALSE(status.announce_behind);
        forecast += status.announce_due_per_hour;
    }
    for (unsigned hour = 0; hour < 8; ++hour) {
        const auto before = swarm.network().puts;
        swarm.world().run_for(1h);
        const auto puts = static_cast<double>(swarm.network().puts - before);
        MESSAGE("hour ", hour, ": forecast ", forecast, ", put ", puts);
        CHECK(puts == doctest::Approx(forecast).epsilon(0.2));
    }
}
