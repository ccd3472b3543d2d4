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

/// A publisher that stores nothing, whom the others meet, so that there are `nodes` in all.
std::size_t add_publisher_and_holders(Swarm& swarm, std::size_t nodes) {
    const auto publisher = swarm.add({.storing = false, .capacity = ByteCount(256 * mib)});
    swarm.world().run_for(1s);
    swarm.grow_to(nodes, 500ms);
    swarm.world().run_for(30s);
    return publisher;
}

std::uint64_t room_left(Swarm& swarm, std::size_t node) {
    const auto usage = swarm.store(node).usage();
    return usage.capacity.value - usage.used.value;
}

}  // namespace

TEST_CASE("nobody ever stores more than its capacity, and a publisher says what did not fit") {
    Swarm swarm({.seed = 71, .capacity = ByteCount(3 * mib), .audit_period = no_audits});
    const auto publisher = add_publisher_and_holders(swarm, 11);
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
    const auto publisher = add_publisher_and_holders(swarm, 7);
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

namespace {

/// Eight nodes with room for three extents each keep four objects of one extent, some of them once
/// too often: two holders were away for longer than the grace period and came back.
struct SwarmWithSurplus {
    Swarm swarm;
    std::size_t publisher;
    std::vector<Object> objects;

    explicit SwarmWithSurplus(std::uint64_t seed)
        : swarm(
              {.seed = seed, .capacity = ByteCount(3 * mib + mib / 2), .audit_period = no_audits}),
          publisher(add_publisher_and_holders(swarm, 9)) {
        for (std::uint64_t i = 0; i < 4; ++i)
            add(i);
        const auto first = a_holder(swarm, objects[0], extent_of(objects[0]));
        const auto second = a_holder(swarm, objects[1], extent_of(objects[1])) == first
                                ? a_holder(swarm, objects[2], extent_of(objects[2]))
                                : a_holder(swarm, objects[1], extent_of(objects[1]));
        for (const auto node : {first, second})
            if (swarm.up(node)) swarm.crash(node);
        swarm.world().run_for(10min);
        for (const auto node : {first, second})
            if (!swarm.up(node)) swarm.restart(node);
        swarm.world().run_for(5min);
    }

    void add(std::uint64_t number) {
        objects.push_back(
            publish(swarm, {.publisher = publisher, .bytes = mib - 4096, .seed = 7000 + number}));
    }
    static proto::ItemId extent_of(const Object& object) { return object.items()[1]; }
    std::size_t surplus() const {
        std::size_t count = 0;
        for (const auto& object : objects)
            count += std::max<std::size_t>(copies(swarm, object, extent_of(object)), 4) - 4;
        return count;
    }
    std::size_t readable_copies(const Object& object) {
        const ChunkRange chunk{ChunkIndex(0), ChunkIndex(1)};
        std::size_t count = 0;
        for (std::size_t node = 0; node < swarm.size(); ++node)
            if (node != publisher && swarm.store(node).read(extent_of(object).extent(), chunk))
                ++count;
        return count;
    }
};

}  // namespace

TEST_CASE("copies beyond those wanted stay until there is no room, then they go and no others") {
    SwarmWithSurplus s(74);
    const auto before = s.surplus();
    MESSAGE(before << " copies too many");
    REQUIRE(before >= 2);
    s.swarm.world().run_for(1h);
    CHECK(s.surplus() == before);
    watch_capacities(s.swarm);
    const auto watched = s.objects;
    unsigned fewest = 4;
    for (std::uint64_t i = 4; i < 9; ++i) {
        s.add(i);
        for (const auto& object : watched)
            fewest = std::min(fewest, copies(s.swarm, object));
    }
    s.swarm.world().run_for(10min);
    for (const auto& object : watched)
        fewest = std::min(fewest, copies(s.swarm, object));
    // More is wanted than there is room for, so that all of them have to go.
    CHECK(s.surplus() == 0);
    CHECK(fewest == 4);
    for (const auto& object : watched)
        CHECK(readable(s.swarm, object, s.publisher));
    s.swarm.world().watch({});
}

TEST_CASE("in a swarm that is full everywhere no copy is one too many for long") {
    for (const std::uint64_t seed : {80, 89}) {
        CAPTURE(seed);
        Swarm swarm(
            {.seed = seed, .capacity = ByteCount(8 * mib + mib / 2), .audit_period = no_audits});
        const auto publisher = add_publisher_and_holders(swarm, 6);
        std::vector<Object> objects;
        const auto publish_more = [&](int count) {
            for (int i = 0; i < count; ++i)
                objects.push_back(publish(swarm, {.publisher = publisher,
                                                  .bytes = mib - 4096,
                                                  .seed = 100 * seed + objects.size()}));
        };
        const auto most = [&] {
            std::size_t copies_max = 0;
            for (const auto& object : objects)
                copies_max = std::max(copies_max, copies(swarm, object, object.items()[1]));
            return copies_max;
        };
        publish_more(7);
        for (std::size_t node = 1; node <= 5; ++node) {
            swarm.crash(node);
            swarm.world().run_for(10min);
            swarm.restart(node);
            swarm.world().run_for(2min);
        }
        REQUIRE(most() == 5);
        publish_more(3);  // with four copies each, all that there is room for
        swarm.world().run_for(30min);
        CHECK(most() == 4);
    }
}

TEST_CASE("when an object is withdrawn its room is taken at once by what lacked copies") {
    for (const std::uint64_t seed : {76, 77, 78, 79}) {
        CAPTURE(seed);
        Swarm swarm(
            {.seed = seed, .capacity = ByteCount(3 * mib + mib / 2), .audit_period = no_audits});
        const auto publisher = add_publisher_and_holders(swarm, 7);
        std::vector<Object> objects;
        for (std::uint64_t i = 0; i < 5; ++i)
            objects.push_back(publish(
                swarm, {.publisher = publisher, .bytes = mib - 4096, .seed = 100 * seed + i}));
        swarm.world().run_for(10min);
        // Six nodes have room for three each, and twenty are wanted.
        const auto lacks = [&](const Object& object) { return copies(swarm, object) < 4; };
        REQUIRE(std::ranges::any_of(objects, lacks));
        const auto whole = std::ranges::find_if_not(objects, lacks);
        REQUIRE(whole != objects.end());
        REQUIRE(swarm.withdraw(publisher, whole->root).has_value());
        objects.erase(whole);
        // A refusal alone would be remembered for a minute at least.
        swarm.world().run_for(5s);
        CHECK(std::ranges::none_of(objects, lacks));
    }
}

TEST_CASE("a copy is not let go when one of the others claims what it cannot prove") {
    SwarmWithSurplus s(75);
    REQUIRE(s.surplus() >= 2);
    for (const auto& object : s.objects) {
        const auto item = SwarmWithSurplus::extent_of(object);
        const auto held = copies(s.swarm, object, item);
        if (held > 4)
            (void)s.swarm.lose_extents(a_holder(s.swarm, object, item), object.descriptor, 1, true);
    }
    const auto watched = s.objects;
    for (std::uint64_t i = 4; i < 9; ++i)
        s.add(i);
    s.swarm.world().run_for(1min);
    for (const auto& object : watched)
        CHECK(s.readable_copies(object) >= 4);
}
