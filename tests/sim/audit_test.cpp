// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <cmath>

#include "proto/audit_planner.hpp"
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

constexpr Duration period = 1h;
constexpr unsigned one_in = 25;

/// A node lacks every 25th of the extents that it keeps, and claims to have them: how long it takes
/// until one of its five neighbours asks for one of those. Nothing if that takes a whole period.
std::optional<Duration> time_until_found(std::uint64_t seed) {
    Swarm swarm({.seed = seed, .grace = 10min, .audit_period = period});
    swarm.grow_to(6, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 150'000, .level = 0});
    swarm.world().run_for(1min);
    const std::size_t holder = 1;
    REQUIRE_FALSE(swarm.lose_extents(holder, object.descriptor, one_in, true).empty());
    const auto start = swarm.world().now();
    const bool found = swarm.world().run_for(
        period, [&] { return swarm.network().sent(swarm.id(holder), "failure").messages > 0; });
    if (!found) return std::nullopt;
    return swarm.world().now() - start;
}

}  // namespace

TEST_CASE("what is missing is found as fast as the audit's probability says") {
    constexpr int seeds = 40;
    std::vector<std::optional<Duration>> times;
    for (int i = 0; i < seeds; ++i)
        times.push_back(time_until_found(900 + static_cast<std::uint64_t>(i)));
    // Five neighbours ask 44 times in a period each.
    const auto probes_by = [](int minutes) { return static_cast<unsigned>(5 * 44 * minutes / 60); };
    for (const int minutes : {1, 2, 4, 8, 16, 30}) {
        const auto found = static_cast<double>(std::ranges::count_if(times, [&](const auto& time) {
            return time && *time <= std::chrono::minutes(minutes);
        }));
        const double share = found / seeds;
        const double expected = proto::AuditPlanner::detection(1.0 / one_in, probes_by(minutes));
        MESSAGE(
            fmt::format("a holder that lacks 4 % is found within {} minutes of an hour's "
                        "period: {:.2f} computed, {:.2f} of {} swarms",
                        minutes, expected, share, seeds));
        // Three and a half standard deviations of what so few swarms show.
        const double spread = std::sqrt(expected * (1 - expected) / seeds);
        CHECK(std::abs(share - expected) <= 3.5 * spread + 0.05);
    }
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
    const auto object = publish(swarm, {.bytes = 100'000, .seed = 9, .copies = 4, .level = 0});
    swarm.world().run_for(1min);
    std::size_t holder = 1;
    auto lost = swarm.lose_extents(holder, object.descriptor, 10, claims);
    while (lost.empty())
        lost = swarm.lose_extents(++holder, object.descriptor, 10, claims);
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
