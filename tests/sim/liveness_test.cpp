// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

/// What a swarm of twelve costs that holds so many extents of one chunk, after all is settled.
struct Cost {
    Sent idle;       ///< all nodes together, in ten minutes in which nothing happens
    Sent reconnect;  ///< what a holder's reboot adds to it
};

Sent all_sent(const Swarm& swarm) {
    Sent sum;
    for (std::size_t node = 0; node < swarm.size(); ++node) {
        const auto more = swarm.network().sent(swarm.id(node));
        sum.messages += more.messages;
        sum.bytes += more.bytes;
    }
    return sum;
}

Sent sent_in(Swarm& swarm, Duration time) {
    const auto before = all_sent(swarm);
    swarm.world().run_for(time);
    const auto after = all_sent(swarm);
    return {after.messages - before.messages, after.bytes - before.bytes};
}

Cost cost_of(std::size_t extents) {
    Swarm swarm({.seed = 81, .grace = 5min});
    swarm.grow_to(12, 500ms);
    swarm.world().run_for(30s);
    constexpr std::size_t extents_at_once = 5'000;
    std::uint64_t seed = 1;
    for (std::size_t left = extents; left > 0;) {
        const auto now = std::min(left, extents_at_once);
        const auto object =
            publish(swarm, {.publisher = seed % 12, .bytes = now * 512, .seed = seed, .level = 0});
        CHECK(object.descriptor.extents.size() == now);
        CHECK(object.result.copies.min == 4);
        left -= now;
        ++seed;
    }
    swarm.world().run_for(20min);
    Cost cost;
    cost.idle = sent_in(swarm, 10min);
    const std::size_t victim = 11;
    const auto before = all_sent(swarm);
    swarm.crash(victim);
    swarm.world().run_for(1min);
    swarm.restart(victim);
    swarm.world().run_for(9min);
    const auto after = all_sent(swarm);
    cost.reconnect = {after.messages - before.messages, after.bytes - before.bytes};
    MESSAGE(extents << " extents: idle for 10 minutes " << cost.idle.messages / 12
                    << " messages and " << cost.idle.bytes / 12
                    << " bytes a node; the same with a reboot in it, all nodes together "
                    << cost.reconnect.messages << " messages and " << cost.reconnect.bytes
                    << " bytes instead of " << cost.idle.messages << " and " << cost.idle.bytes);
    return cost;
}

}  // namespace

TEST_CASE("a quiet swarm's traffic grows with its nodes, not with what they hold") {
    const auto few = cost_of(100);
    const auto many = cost_of(10'000);
    CHECK(few.idle.messages > 0);
    CHECK(static_cast<double>(many.idle.messages) <= 1.5 * static_cast<double>(few.idle.messages));
    CHECK(static_cast<double>(many.idle.bytes) <= 1.5 * static_cast<double>(few.idle.bytes));

    // A reboot costs a short name for each item that a neighbour keeps: the one that was away has
    // forgotten what the others' ledgers were, and hears their lists; the others know its ledger.
    const auto extra = [](const Cost& cost) {
        return static_cast<double>(cost.reconnect.bytes) - static_cast<double>(cost.idle.bytes);
    };
    const double copies = 4 * (10'000 + 2);  // over all nodes
    CHECK(extra(many) - extra(few) <= 2 * copies * limits::short_name_bytes);
}

TEST_CASE("a clock so wrong that records are refused is named as the problem") {
    const auto problem_at = [](std::chrono::milliseconds skew) {
        Swarm swarm({.seed = 30});
        const auto node = swarm.add();
        swarm.engine(node).reporter().note_clock_skew(skew);
        return swarm.status(node).problem;
    };
    CHECK(problem_at(9min).empty());
    CHECK(problem_at(-9min).empty());
    CHECK(problem_at(1h).find("60 min") != std::string::npos);
    CHECK(problem_at(-1h).find("60 min") != std::string::npos);
}
