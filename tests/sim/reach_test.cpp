// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t mib = 1 << 20;

/// Seven nodes, and the last one has its peers dial it back.
std::size_t seven_and_one(Swarm& swarm, bool shut) {
    swarm.grow_to(7, 500ms);
    const auto node = swarm.add({.check_reach = true});
    if (shut) swarm.network().shut.insert(swarm.endpoint(node));
    swarm.world().run_for(1min);
    return node;
}

/// Until others have tried, such a node counts as one that they can dial.
std::unique_ptr<store::Store> store_of_one_that_could_be_dialled() {
    auto store = store::make_memory_store(ByteCount(1ULL << 30));
    const std::uint8_t yes = 1;
    REQUIRE(store->set_setting("reachable", {&yes, 1}));
    return store;
}

/// As the node itself says.
bool is_holder(Swarm& swarm, std::size_t node) {
    return swarm.status(node).storing;
}

/// Those to whom the node is a candidate for what is placed.
std::size_t counted_by(Swarm& swarm, std::size_t node) {
    std::size_t count = 0;
    for (std::size_t other = 0; other < swarm.size(); ++other)
        if (other != node && swarm.engine(other).table().is_alive(swarm.id(node))) ++count;
    return count;
}

bool has_any(const Swarm& swarm, const Object& object, std::size_t node) {
    return bytes_on(swarm, object, node) > 0;
}

}  // namespace

TEST_CASE("a node that others can dial is a holder, and says that they can") {
    Swarm swarm({.seed = 61, .audit_period = no_audits});
    const auto node = seven_and_one(swarm, false);
    CHECK(swarm.status(node).reach == Reach::reachable);
    CHECK(is_holder(swarm, node));
    CHECK(counted_by(swarm, node) == 7);
}

TEST_CASE("a node that nobody can dial is no holder, and publishes and fetches") {
    Swarm swarm({.seed = 62, .audit_period = no_audits});
    const auto node = seven_and_one(swarm, true);
    CHECK(swarm.status(node).reach == Reach::unreachable);
    CHECK_FALSE(is_holder(swarm, node));
    CHECK(counted_by(swarm, node) == 0);
    const auto theirs = publish(swarm, {.publisher = 2, .bytes = 8 * mib, .seed = 1, .level = 8});
    CHECK_FALSE(has_any(swarm, theirs, node));
    CHECK(copies(swarm, theirs) == 4);
    CHECK(readable(swarm, theirs, node));
    const auto own = publish(swarm, {.publisher = node, .bytes = mib, .seed = 2});
    CHECK(own.result.copies.min == 4);
    swarm.crash(node);
    CHECK(readable(swarm, own, 3));
}

TEST_CASE("a publication whose holder turns out to be one that nobody can dial has its copies") {
    // Announcing takes longer than placing: that is when it happens.
    const auto seven_far_and_one = [](Swarm& swarm) {
        swarm.network().set_distance({.round_trip = 100ms, .put_hops = 60});
        swarm.grow_to(7, 100ms);
        const auto node = swarm.add({.check_reach = true}, store_of_one_that_could_be_dialled());
        swarm.network().shut.insert(swarm.endpoint(node));
        return node;
    };
    const Swarm::Options options{.seed = 65, .audit_period = no_audits};
    Duration known{};
    {
        Swarm swarm(options);
        const auto node = seven_far_and_one(swarm);
        const auto began = swarm.world().now();
        REQUIRE(swarm.world().run_for(1min, [&] { return counted_by(swarm, node) > 0; }));
        REQUIRE(swarm.world().run_for(1min, [&] { return counted_by(swarm, node) == 0; }));
        known = swarm.world().now() - began;
    }
    unsigned holders_lost = 0;
    for (Duration before = 250ms; before <= 6s && before < known; before += 250ms) {
        CAPTURE(before.count());
        Swarm swarm(options);
        const auto node = seven_far_and_one(swarm);
        swarm.world().run_for(known - before);
        const auto object =
            publish(swarm, {.publisher = 2, .bytes = 2 * mib, .seed = 5, .level = 8});
        CHECK(object.result.copies.min >= 4);
        if (has_any(swarm, object, node) && counted_by(swarm, node) == 0) ++holders_lost;
    }
    CHECK(holders_lost > 0);
}

TEST_CASE("a new node that nobody can dial is never one of those to choose from") {
    Swarm swarm({.seed = 67, .audit_period = no_audits});
    swarm.grow_to(7, 500ms);
    const auto node = swarm.add({.check_reach = true});
    swarm.network().shut.insert(swarm.endpoint(node));
    const auto is_chosen = [&] { return counted_by(swarm, node) > 0; };
    CHECK_FALSE(swarm.world().run_for(3min, is_chosen));
    CHECK(swarm.status(node).reach == Reach::unreachable);
}

TEST_CASE("a new node that others can dial is one of those to choose from within seconds") {
    Swarm swarm({.seed = 68, .audit_period = no_audits});
    swarm.grow_to(7, 500ms);
    const auto node = swarm.add({.check_reach = true});
    CHECK_FALSE(swarm.engine(node).local_record().storing);
    CHECK(swarm.world().run_for(3s, [&] { return counted_by(swarm, node) == 7; }));
}

TEST_CASE("the first nodes of a swarm, who have nobody to ask, are holders") {
    Swarm swarm({.seed = 69, .audit_period = no_audits});
    SUBCASE("one alone, after a while") {
        const auto first = swarm.add({.check_reach = true});
        swarm.world().run_for(30s);
        CHECK_FALSE(swarm.engine(first).local_record().storing);
        swarm.world().run_for(1min);
        CHECK(swarm.engine(first).local_record().storing);
    }
    SUBCASE("the one who comes first, as soon as a second one dials it, and that one too") {
        const auto first = swarm.add({.check_reach = true});
        swarm.world().run_for(1s);
        const auto second = swarm.add({.check_reach = true});
        CHECK(swarm.world().run_for(
            5s, [&] { return counted_by(swarm, first) == 1 && counted_by(swarm, second) == 1; }));
    }
    SUBCASE("what one publishes that is alone it keeps") {
        const auto first = swarm.add({.check_reach = true});
        const auto object = publish(swarm, {.publisher = first, .bytes = mib, .seed = 6});
        CHECK(has_any(swarm, object, first));
    }
}

TEST_CASE("a holder that starts anew is not missed") {
    Swarm swarm({.seed = 70, .grace = 5min, .audit_period = no_audits});
    const auto node = seven_and_one(swarm, false);
    const auto object = publish(swarm, {.publisher = 2, .bytes = 16 * mib, .seed = 4, .level = 8});
    REQUIRE(has_any(swarm, object, node));
    const auto held = [&] {
        std::uint64_t bytes = 0;
        for (std::size_t other = 0; other < swarm.size(); ++other)
            bytes += bytes_on(swarm, object, other);
        return bytes;
    };
    const auto before = held();
    swarm.crash(node);
    swarm.world().run_for(10s);
    swarm.restart(node);
    CHECK(swarm.engine(node).local_record().storing);
    swarm.world().run_for(10min);
    CHECK(held() == before);
}

TEST_CASE("what a node says of itself is newer than what it said before, however soon it says it") {
    Swarm swarm({.seed = 71, .audit_period = no_audits});
    auto& engine = swarm.engine(swarm.add({.check_reach = true}));
    const auto before = engine.local_record();
    engine.on_mapping({}, core::Endpoint::parse("203.0.113.29:2929").value());
    const auto after = engine.local_record();
    REQUIRE(after.addresses != before.addresses);
    CHECK(after.sequence > before.sequence);
}

TEST_CASE("whom others can dial after all is a holder from then on") {
    Swarm swarm({.seed = 63, .audit_period = no_audits});
    const auto node = seven_and_one(swarm, true);
    REQUIRE_FALSE(is_holder(swarm, node));
    swarm.network().shut.clear();
    const auto until = swarm.world().now() + 10min;
    while (swarm.status(node).reach != Reach::reachable && swarm.world().now() < until)
        swarm.world().run_for(50ms);
    CHECK(swarm.status(node).reach == Reach::reachable);
    CHECK(is_holder(swarm, node));  // in the very moment in which it says the other
    swarm.world().run_for(10s);
    CHECK(counted_by(swarm, node) == 7);
    const auto object = publish(swarm, {.publisher = 2, .bytes = 16 * mib, .seed = 3, .level = 8});
    CHECK(has_any(swarm, object, node));
}

TEST_CASE("what is left where nobody gets it is no copy") {
    Swarm swarm({.seed = 66, .grace = 24h, .audit_period = no_audits});
    swarm.grow_to(4, 500ms);
    const auto node = swarm.add({.check_reach = true});
    swarm.world().run_for(1min);
    // All four others have it, and there is nobody to take it over.
    const auto object = publish(swarm, {.publisher = 2, .bytes = 4 * mib, .seed = 5, .level = 8});
    const auto copies_of = [&](const Object& what) {
        return swarm.health(2, what.root)->copies.min;
    };
    const auto known = [&] { return swarm.objects(2).front().copies_min; };
    REQUIRE(copies_of(object) == 4);
    REQUIRE(known() == 4U);
    swarm.network().shut.insert(swarm.endpoint(node));
    swarm.world().run_for(25min);
    REQUIRE(swarm.status(node).reach == Reach::unreachable);
    CHECK(has_any(swarm, object, node));
    CHECK(copies_of(object) == 3);
    CHECK(known() == 3U);
    CHECK_FALSE(swarm.health(2, object.root)->publisher_may_leave);
}

TEST_CASE("what a node kept that others can dial no more is taken over, at once") {
    Swarm swarm({.seed = 64, .grace = 24h, .audit_period = no_audits});
    const auto node = seven_and_one(swarm, false);
    const auto object = publish(swarm, {.publisher = 2, .bytes = 16 * mib, .seed = 4, .level = 8});
    REQUIRE(has_any(swarm, object, node));
    swarm.network().shut.insert(swarm.endpoint(node));
    // It asks every quarter of an hour whether that is so.
    swarm.world().run_for(25min);
    CHECK(swarm.status(node).reach == Reach::unreachable);
    CHECK(counted_by(swarm, node) == 0);
    swarm.crash(node);
    CHECK(copies(swarm, object) >= 4);
}
