// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t mib = 1 << 20;

/// Fails at the first moment at which a node has more than it may have.
void watch_capacities(Swarm& swarm) {
    swarm.world().watch([&swarm] {
        for (std::size_t node = 0; node < swarm.size(); ++node) {
            const auto usage = swarm.store(node).usage();
            if (usage.used + usage.reserved <= usage.capacity) continue;
            CAPTURE(node);
            REQUIRE(usage.used + usage.reserved <= usage.capacity);
        }
    });
}

std::uint64_t room_left(Swarm& swarm, std::size_t node) {
    const auto usage = swarm.store(node).usage();
    return usage.capacity.value - usage.used.value;
}

}  // namespace

TEST_CASE("nobody ever stores more than its capacity, and a publisher says what did not fit") {
    Swarm swarm({.seed = 71, .capacity = ByteCount(3 * mib), .audit_period = no_audits});
    const auto publisher = swarm.add({.storing = false, .capacity = ByteCount(256 * mib)});
    swarm.world().run_for(1s);
    swarm.grow_to(11, 500ms);
    swarm.world().run_for(30s);
    watch_capacities(swarm);

    // Ten nodes of 3 MiB take about 70 objects of 100 kB four times over.
    std::vector<Object> objects;
    std::size_t whole = 0, short_of_some = 0;
    for (std::uint64_t i = 0; i < 110; ++i) {
        objects.push_back(
            publish(swarm, {.publisher = publisher, .bytes = 100'000, .seed = 1000 + i}));
        const auto& result = objects.back().result;
        CHECK(result.copies.min == copies(swarm, objects.back()));
        CHECK(result.shortfall.empty() == (result.copies.min >= 4));
        (result.copies.min >= 4 ? whole : short_of_some) += 1;
    }
    MESSAGE(whole << " objects got four copies, " << short_of_some << " fewer");
    CHECK(whole >= 55);
    CHECK(short_of_some >= 20);
    CHECK(objects.front().result.copies.min == 4);
    CHECK(objects.back().result.copies.min < 4);
    // Everybody is full: nobody was passed over because others were nearer.
    for (std::size_t node = 1; node < swarm.size(); ++node) {
        CAPTURE(node);
        CHECK(room_left(swarm, node) < 300'000);
    }

    // Room that comes is used, and what is there stays readable.
    swarm.grow_to(24, 1s);
    swarm.world().run_for(30min);
    for (const auto& object : objects)
        CHECK(copies(swarm, object) >= 4);
    CHECK(readable(swarm, objects.front(), 15));
    CHECK(readable(swarm, objects.back(), 15));
    swarm.world().watch({});
}

TEST_CASE("when the best nodes are full the next ones hold, at once") {
    Swarm swarm({.seed = 72, .capacity = ByteCount(16 * mib), .audit_period = no_audits});
    swarm.grow_to(1, 500ms);
    for (int i = 0; i < 8; ++i)
        swarm.add({.capacity = ByteCount(mib / 2)});
    for (int i = 0; i < 4; ++i)
        swarm.add();
    swarm.world().run_for(1min);
    watch_capacities(swarm);
    const auto object = publish(swarm, {.bytes = 3 * mib});
    CHECK(object.result.copies.min == 4);
    CHECK(copies(swarm, object) == 4);
    for (const auto& extent : object.descriptor.extents)
        for (const auto node : swarm.holders(proto::ItemId::of(extent)))
            CHECK((node == 0 || node > 8));
    swarm.world().watch({});
}

TEST_CASE("an object larger than all the room there is says how many copies each part has") {
    Swarm swarm({.seed = 73, .capacity = ByteCount(4 * mib), .audit_period = no_audits});
    const auto publisher = swarm.add({.storing = false, .capacity = ByteCount(256 * mib)});
    swarm.world().run_for(1s);
    swarm.grow_to(7, 500ms);
    swarm.world().run_for(30s);
    watch_capacities(swarm);
    const auto object = publish(swarm, {.publisher = publisher, .bytes = 40 * mib});
    CHECK(object.result.copies.min == 0);
    CHECK_FALSE(object.result.shortfall.empty());
    // Whoever has an extent has the descriptor, so that one has more than were asked for.
    std::uint64_t stored = 0, said = 0;
    for (const auto& item : object.items())
        if (item != object.descriptor_item()) stored += copies(swarm, object, item);
    for (const auto& [count, items] : object.result.copies.histogram)
        said += count * items;
    CHECK(said >= stored);
    CHECK(said <= stored + 4);
    // The room is used, as far as whole extents with their trees go into it, though nobody has
    // room for all that he is asked to hold at once.
    MESSAGE("six nodes of 4 MiB took " << stored << " copies of 1 MiB");
    CHECK(stored >= 15);
    CHECK(stored <= 6 * 3);
    swarm.world().watch({});
}
