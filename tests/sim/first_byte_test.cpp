// SPDX-License-Identifier: GPL-3.0-or-later
// Virtual time is exact, so how many round trips a first byte takes can be counted.
#include <algorithm>

#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

constexpr Duration round_trip = 40ms;
constexpr double round_trips_max = 8;

double in_round_trips(Duration duration) {
    return std::chrono::duration<double>(duration) / std::chrono::duration<double>(round_trip);
}

/// Thirty-two nodes, 40 ms from each other, and objects of one to six extents on them.
struct Far {
    Swarm swarm;
    std::vector<Object> objects;

    explicit Far(std::uint64_t seed) : swarm({.seed = seed, .audit_period = no_audits}) {
        swarm.network().set_distance({.round_trip = round_trip});
        swarm.grow_to(32, 500ms);
        swarm.world().run_for(1min);
        for (std::size_t i = 0; i < 6; ++i)
            objects.push_back(
                publish(swarm, {.publisher = i, .bytes = (i << 20) + 700'000, .seed = seed + i}));
        swarm.world().run_for(1min);
    }

    /// Median and most of the round trips that each object's first byte takes; `reader` names the
    /// node that fetches the next one.
    template <class Reader>
    std::pair<double, double> measure(Reader reader) {
        std::vector<double> trips;
        for (const auto& object : objects) {
            const std::size_t node = reader(object);
            const auto took = swarm.first_byte(node, object.root);
            REQUIRE(took.has_value());
            trips.push_back(in_round_trips(*took));
        }
        std::ranges::sort(trips);
        return {trips[trips.size() / 2], trips.back()};
    }

    /// Adds a node and runs until it has met the swarm, or for as long as is said.
    std::size_t newcomer(bool storing, Duration settles) {
        const auto node = swarm.add({.storing = storing});
        swarm.world().run_for(10s, [&] { return swarm.engine(node).neighbourhood().joined(); });
        swarm.world().run_for(settles);
        return node;
    }
};

}  // namespace

TEST_CASE("a node that has just joined has the first byte after at most eight round trips") {
    for (const std::uint64_t seed : {1, 2, 3}) {
        CAPTURE(seed);
        Far far(seed);
        bool storing = false;
        const auto at_once = far.measure([&](const Object&) {
            storing = !storing;
            return far.newcomer(storing, 0s);
        });
        const auto settled = far.measure([&](const Object&) { return far.newcomer(true, 3s); });
        MESSAGE("round trips, median and most: ", at_once.first, " and ", at_once.second,
                " of nodes that met the swarm this moment; ", settled.first, " and ",
                settled.second, " three seconds later");
        CHECK(at_once.second <= round_trips_max);
        CHECK(settled.second <= round_trips_max / 2);
    }
}

TEST_CASE("a node that was idle for an hour is no slower") {
    Far far(4);
    // Nodes that keep nothing of the object that they are to read.
    const auto a_stranger = [&](const Object& object) {
        const auto items = object.items();
        for (std::size_t node = far.swarm.size(); node-- > 0;)
            if (std::ranges::none_of(items, [&](const auto& item) {
                    return std::ranges::count(far.swarm.holders(item), node) != 0;
                }))
                return node;
        FAIL("everybody has a part of it");
        return std::size_t{0};
    };
    // Nobody else fetches between the two, and a stream leaves nothing behind.
    const auto before = far.measure(a_stranger);
    far.swarm.world().run_for(1h);
    const auto after = far.measure(a_stranger);
    MESSAGE("round trips, median and most: ", before.first, " and ", before.second,
            " before an hour without work, ", after.first, " and ", after.second, " after it");
    CHECK(after.first <= before.first);
    CHECK(after.second <= before.second);
}
