// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t mib = 1 << 20;

std::uint64_t invitations(const Swarm& swarm) {
    return swarm.network().sent("invite").messages;
}

/// How many messages of this name each node has sent so far.
std::vector<std::uint64_t> counts_of(const Swarm& swarm, std::string_view what) {
    std::vector<std::uint64_t> counts;
    for (std::size_t node = 0; node < swarm.size(); ++node)
        counts.push_back(swarm.network().sent(swarm.id(node), what).messages);
    return counts;
}

std::vector<std::size_t> who_sent_since(const Swarm& swarm, std::string_view what,
                                        const std::vector<std::uint64_t>& before) {
    const auto now = counts_of(swarm, what);
    std::vector<std::size_t> nodes;
    for (std::size_t node = 0; node < before.size(); ++node)
        if (now[node] > before[node]) nodes.push_back(node);
    return nodes;
}

}  // namespace

TEST_CASE("a reboot within the grace period moves no byte, whoever reboots") {
    Swarm swarm({.seed = 31, .grace = 3min, .audit_period = no_audits});
    swarm.grow_to(12, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 3 * mib});
    swarm.world().run_for(2min);
    const auto data = swarm.network().data_bytes();
    const auto invited = invitations(swarm);
    const auto before = holdings(swarm, object);
    for (std::size_t node = 0; node < swarm.size(); ++node) {
        swarm.crash(node);
        swarm.world().run_for(2min);
        swarm.restart(node);
        swarm.world().run_for(5min);
    }
    CHECK(swarm.network().data_bytes() == data);
    CHECK(invitations(swarm) == invited);
    CHECK(holdings(swarm, object) == before);
}

TEST_CASE("who goes away in the moment in which something was published is waited for as well") {
    for (const std::uint64_t seed : {61, 62, 63, 64}) {
        CAPTURE(seed);
        Swarm swarm({.seed = seed, .grace = 5min, .audit_period = no_audits});
        swarm.grow_to(10, 500ms);
        swarm.world().run_for(30s);
        const auto object = publish(swarm, {.bytes = 8 * mib});
        const auto holder = a_holder(swarm, object, object.items()[1]);
        const auto data = swarm.network().data_bytes();
        swarm.crash(holder);
        swarm.world().run_for(3min);
        swarm.restart(holder);
        swarm.world().run_for(5min);
        CHECK(swarm.network().data_bytes() == data);
        CHECK(copies(swarm, object) == 4);
    }
}

TEST_CASE("a node that keeps much of many restarts, and nobody takes anything for lost") {
    Swarm swarm({.seed = 40, .grace = 5min, .audit_period = no_audits});
    swarm.grow_to(5, 500ms);
    swarm.world().run_for(30s);
    // Each of five nodes keeps all that the four others published.
    for (std::uint64_t i = 0; i < 10; ++i)
        (void)publish(swarm, {.publisher = i % 5, .bytes = 200'000, .seed = 500 + i, .level = 6});
    // These keep nothing, and would be asked first if something were missing.
    swarm.grow_to(10, 500ms);
    swarm.world().run_for(2min);
    const auto data = swarm.network().data_bytes();
    const auto invited = invitations(swarm);
    for (const std::size_t node : {2, 3, 4}) {
        swarm.crash(node);
        swarm.world().run_for(2s);
        swarm.restart(node);
        swarm.runtime(node).set_worker_time(100ms);  // it reads one object after the other
        swarm.world().run_for(2min);
    }
    CHECK(swarm.network().data_bytes() == data);
    CHECK(invitations(swarm) == invited);
}

TEST_CASE("a holder that restarts while another is away waits for it as everybody does") {
    Swarm swarm({.seed = 39, .grace = 5min, .audit_period = no_audits});
    swarm.grow_to(12, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 3 * mib});
    swarm.world().run_for(2min);
    const auto data = swarm.network().data_bytes();
    const auto invited = invitations(swarm);
    const auto holders = swarm.holders(object.items()[1]);
    const auto away =
        *std::ranges::find_if(holders, [&](std::size_t node) { return node != object.publisher; });
    swarm.crash(away);
    swarm.world().run_for(30s);
    for (std::size_t node = 0; node < swarm.size(); ++node) {
        if (node == away) continue;
        swarm.crash(node);
        swarm.world().run_for(1s);
        swarm.restart(node);
    }
    swarm.world().run_for(3min);
    swarm.restart(away);
    swarm.world().run_for(10min);
    CHECK(swarm.network().data_bytes() == data);
    CHECK(invitations(swarm) == invited);
}

TEST_CASE("a holder lost for good costs no more than 1.2 times what it held") {
    Swarm swarm({.seed = 32, .grace = 2min, .audit_period = no_audits});
    swarm.grow_to(24, 500ms);
    swarm.world().run_for(1min);
    const auto object = publish(swarm, {.bytes = 24 * mib + 12'345});
    swarm.world().run_for(2min);
    REQUIRE(object.descriptor.extents.size() == 25);
    for (int loss = 0; loss < 3; ++loss) {
        const auto data = swarm.network().data_bytes();
        std::size_t holder = 1;
        while (!swarm.up(holder) || bytes_on(swarm, object, holder) < 2 * mib)
            ++holder;
        const auto lost = bytes_on(swarm, object, holder);
        swarm.crash(holder);
        swarm.world().run_for(10min);
        CHECK(copies(swarm, object) == 4);
        for (const auto& item : object.items())
            if (item != object.descriptor_item()) CHECK(copies(swarm, object, item) == 4);
        const auto moved = swarm.network().data_bytes() - data;
        const auto ratio = static_cast<double>(moved) / static_cast<double>(lost);
        MESSAGE("lost " << lost << " bytes, moved " << moved << ": " << ratio);
        CHECK(ratio >= 1.0);
        CHECK(ratio <= 1.2);
    }
}

TEST_CASE("when the node that repairs dies in the middle, the next in rank goes on") {
    Swarm swarm({.seed = 33, .grace = 2min, .audit_period = no_audits});
    swarm.grow_to(16, 500ms);
    swarm.world().run_for(1min);
    // One extent that takes seconds to pull, so that there is a middle. Its publisher is gone, or
    // the first to act might be one that has no copy that counts.
    const auto object = publish(swarm, {.bytes = 60 * mib, .level = 17});
    swarm.world().run_for(2min);
    swarm.crash(object.publisher);
    swarm.world().run_for(5min);
    const auto item = object.items()[1];
    REQUIRE(copies(swarm, object, item) == 4);

    const auto inviting = counts_of(swarm, "invite");
    const auto pulling = counts_of(swarm, "get_range");
    swarm.crash(a_holder(swarm, object, item));
    const auto data = swarm.network().data_bytes();
    const bool began =
        swarm.world().run_for(5min, [&] { return swarm.network().data_bytes() > data + 8 * mib; });
    REQUIRE(began);
    REQUIRE(copies(swarm, object, item) == 3);
    const auto acting = who_sent_since(swarm, "invite", inviting);
    const auto invited = who_sent_since(swarm, "get_range", pulling);
    REQUIRE(acting.size() == 1);
    REQUIRE(invited.size() == 1);
    swarm.crash(acting[0]);
    SUBCASE("it alone") {}
    SUBCASE("and the node that it invited as well") {
        swarm.crash(invited[0]);
    }
    swarm.world().run_for(10min);
    CHECK(copies(swarm, object, item) == 4);
    CHECK(copies(swarm, object) >= 4);
    CHECK(readable(swarm, object, swarm.add()));
}

TEST_CASE("two holders that act at once make one copy, not two") {
    for (const std::uint64_t seed : {34, 35, 36}) {
        CAPTURE(seed);
        Swarm swarm({.seed = seed, .grace = 3min, .audit_period = no_audits});
        swarm.grow_to(16, 500ms);
        swarm.world().run_for(1min);
        // So large that its pull takes longer than the others take to act.
        const auto object = publish(swarm, {.bytes = 40 * mib, .level = 17});
        swarm.world().run_for(2min);
        swarm.crash(object.publisher);
        swarm.world().run_for(5min);
        const auto item = object.items()[1];
        auto holders = swarm.holders(item);
        REQUIRE(holders.size() == 4);

        // The other three see each other no more when the grace period of the first ends, but are
        // not yet lost to each other, so each is the first of those that it sees.
        const auto invited = invitations(swarm);
        swarm.crash(holders.front());
        holders.erase(holders.begin());
        swarm.world().run_for(2min);
        for (std::size_t i = 0; i < holders.size(); ++i)
            for (std::size_t j = i + 1; j < holders.size(); ++j)
                swarm.network().cut({swarm.endpoint(holders[i])}, {swarm.endpoint(holders[j])});
        swarm.world().run_for(90s);
        swarm.network().heal();
        CHECK(invitations(swarm) - invited >= 2);
        swarm.world().run_for(10min);
        CHECK(copies(swarm, object, item) == 4);
    }
}

TEST_CASE("descriptors are repaired like extents: all their first holders may die in turn") {
    Swarm swarm({.seed = 37, .grace = 1min, .audit_period = no_audits});
    swarm.grow_to(30, 500ms);
    swarm.world().run_for(1min);
    const auto object = publish(swarm, {.bytes = 100'000});
    swarm.world().run_for(1min);
    const auto first_holders = swarm.holders(object.descriptor_item());
    REQUIRE(first_holders.size() >= 5);
    for (const auto holder : first_holders) {
        swarm.crash(holder);
        swarm.world().run_for(5min);
        CHECK(swarm.holders(object.descriptor_item()).size() >= 4);
        CHECK(copies(swarm, object) >= 4);
    }
    for (const auto holder : first_holders)
        CHECK_FALSE(swarm.up(holder));
    CHECK(readable(swarm, object, swarm.add({.storing = false})));
}

TEST_CASE("a node that lost a descriptor without noticing is found out and it is made again") {
    // An object of no bytes is nothing but its descriptor.
    Swarm swarm({.seed = 38, .grace = 1min, .audit_period = 10min});
    swarm.grow_to(12, 500ms);
    swarm.world().run_for(1min);
    const auto object = publish(swarm, {.bytes = 0});
    swarm.world().run_for(1min);
    const auto item = object.descriptor_item();
    REQUIRE(copies(swarm, object, item) == 4);
    const auto holder = a_holder(swarm, object, item);
    swarm.lose_descriptor(holder, object.root);
    REQUIRE(copies(swarm, object, item) == 3);
    swarm.world().run_for(20min);
    CHECK(copies(swarm, object, item) >= 4);
}

TEST_CASE("copies that come back count again, are not deleted, and save the next repair") {
    Swarm swarm({.seed = 39, .grace = 2min, .audit_period = no_audits});
    swarm.grow_to(14, 500ms);
    swarm.world().run_for(1min);
    const auto object = publish(swarm, {.bytes = 700'000});
    swarm.world().run_for(1min);
    const auto item = object.items()[1];
    const auto away = a_holder(swarm, object, item);
    swarm.crash(away);
    swarm.world().run_for(10min);
    CHECK(copies(swarm, object, item) == 4);
    auto before = holdings(swarm, object);
    swarm.restart(away);
    swarm.world().run_for(5min);
    CHECK(copies(swarm, object, item) == 5);
    CHECK(nothing_deleted(before, holdings(swarm, object)));

    const auto data = swarm.network().data_bytes();
    const auto invited = invitations(swarm);
    std::size_t next = 0;
    for (const auto node : swarm.holders(item))
        if (node != object.publisher && node != away) next = node;
    swarm.crash(next);
    before = holdings(swarm, object);
    swarm.world().run_for(15min);
    CHECK(copies(swarm, object, item) == 4);
    CHECK(swarm.network().data_bytes() == data);
    CHECK(invitations(swarm) == invited);
    CHECK(holdings(swarm, object) == before);
}

TEST_CASE("a node whose store was deleted comes back empty, and the swarm heals by itself") {
    bool new_key = false;
    SUBCASE("with its old key") {}
    SUBCASE("with a new key, as if it were another") {
        new_key = true;
    }
    Swarm swarm({.seed = 40, .grace = 2min, .audit_period = no_audits});
    swarm.grow_to(10, 500ms);
    swarm.world().run_for(1min);
    const auto object = publish(swarm, {.bytes = 5 * mib});
    swarm.world().run_for(1min);
    std::size_t holder = 1;
    while (bytes_on(swarm, object, holder) < mib)
        ++holder;
    swarm.crash(holder);
    swarm.lose_disk(holder, new_key);
    swarm.restart(holder);
    CHECK(bytes_on(swarm, object, holder) == 0);
    CHECK(copies(swarm, object) == 3);
    swarm.world().run_for(10min);
    CHECK(copies(swarm, object) >= 4);
    const auto health = swarm.health(swarm.add({.storing = false}), object.root);
    REQUIRE(health.has_value());
    CHECK(health->copies.min >= 4);
    CHECK(health->at_risk_chunks == 0);
}

TEST_CASE("copies are made again after holders crash, and not before the grace period") {
    Swarm swarm({.seed = 13, .grace = 2min});
    swarm.grow_to(12, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 200'000, .seed = 6});
    swarm.crash(0);
    const auto victim = a_holder(swarm, object, object.items()[1]);
    swarm.world().run_for(5min);
    const auto before = copies(swarm, object);
    REQUIRE(before >= 4);
    swarm.crash(victim);
    swarm.world().run_for(1min);
    CHECK(copies(swarm, object) == before - 1);
    swarm.world().run_for(3min);
    CHECK(copies(swarm, object) >= 4);
}

TEST_CASE("a repair that is asked for does not wait for the grace period, whoever asks") {
    Swarm swarm({.seed = 23, .grace = 2h});
    swarm.grow_to(12, 500ms);
    const auto reader = swarm.add({.storing = false});
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 200'000, .seed = 10, .copies = 5, .level = 7});
    swarm.world().run_for(1s);  // so that the holders have heard of each other
    swarm.crash(0);
    swarm.crash(a_holder(swarm, object, object.items()[1]));
    swarm.world().run_for(1min);
    CHECK(copies(swarm, object) == 4);
    const auto health = swarm.repair(reader, object.root);
    REQUIRE(health.has_value());
    CHECK(health->target == 5);
    CHECK(health->copies.min >= 5);
    CHECK(health->audited > 0);
    CHECK(health->publisher_may_leave);
    CHECK(copies(swarm, object) >= 5);
}
