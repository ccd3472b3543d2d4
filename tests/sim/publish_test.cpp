// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t mib = 1 << 20;

std::uint64_t data_from(const Swarm& swarm, const NodeId& node) {
    return swarm.network().sent(node, "range_reply").bytes;
}

/// Bytes in the stores of all nodes but the first.
std::uint64_t kept_by_others(Swarm& swarm) {
    std::uint64_t bytes = 0;
    for (std::size_t node = 1; node < swarm.size(); ++node)
        bytes += swarm.store(node).usage().used.value;
    return bytes;
}

}  // namespace

TEST_CASE("the publisher sends everything once, and the holders get the rest from each other") {
    for (const std::size_t nodes : {5, 12}) {
        for (const std::uint64_t seed : {91, 92, 93}) {
            CAPTURE(nodes);
            CAPTURE(seed);
            Swarm swarm({.seed = seed, .audit_period = no_audits});
            swarm.grow_to(nodes, 500ms);
            swarm.world().run_for(30s);
            const auto object = publish(swarm, {.bytes = 16 * mib, .seed = seed});
            CHECK(copies(swarm, object) == 4);
            CHECK(data_from(swarm, swarm.id(0)) <= 16 * mib * 11 / 10);
            CHECK(swarm.network().data_bytes() >= 4 * 16 * mib);
        }
    }
}

TEST_CASE("a holder that leads and goes away in the middle costs no copy") {
    for (const std::uint64_t seed : {94, 95, 96}) {
        CAPTURE(seed);
        Swarm swarm({.seed = seed, .audit_period = no_audits});
        swarm.grow_to(10, 500ms);
        swarm.world().run_for(30s);
        // Whoever is the first to have pulled 1 MiB goes, with all that others wait for.
        std::optional<std::size_t> gone;
        std::map<std::size_t, std::uint64_t> before;
        swarm.world().watch([&] {
            for (std::size_t node = 1; !gone && node < swarm.size(); ++node) {
                std::uint64_t held = swarm.store(node).usage().used.value;
                if (held < mib) continue;
                gone = node;
                swarm.world().at(swarm.world().now() + 1ms, [&swarm, node] { swarm.crash(node); });
            }
        });
        const auto object = publish(swarm, {.bytes = 16 * mib, .seed = seed});
        swarm.world().watch({});
        REQUIRE(gone);
        CHECK_FALSE(swarm.up(*gone));
        // The publisher may leave now, so nobody who is away counts, grace period or not.
        CHECK(object.result.copies.min == 4);
        CHECK(copies(swarm, object) == 4);
        swarm.world().run_for(5min);
        CHECK(copies(swarm, object) == 4);
        CHECK(data_from(swarm, swarm.id(0)) < 2 * 16 * mib);
    }
}

TEST_CASE("who leads, stores and gives nothing is soon gone around, and leads no more") {
    unsigned led = 0;
    for (const std::uint64_t seed : {98, 99, 100}) {
        CAPTURE(seed);
        Swarm swarm({.seed = seed, .audit_period = no_audits});
        swarm.grow_to(9, 500ms);
        swarm.world().run_for(30s);
        swarm.keep_to_itself(1);
        unsigned led_here = 0;
        for (unsigned i = 0; i < 12; ++i) {
            const auto began = swarm.world().now();
            const auto before = data_from(swarm, swarm.id(0));
            const auto object = publish(swarm, {.bytes = mib, .seed = seed * 100 + i});
            CHECK(object.result.copies.min == 4);
            CHECK(swarm.world().now() < began + 3s);
            if (data_from(swarm, swarm.id(0)) - before > mib * 11 / 10) ++led_here;
        }
        CHECK(led_here <= 1);
        led += led_here;
    }
    CHECK(led > 0);
}

TEST_CASE("who does not answer invitations holds up one publication for a second, and no other") {
    unsigned asked = 0;
    for (const std::uint64_t seed : {101, 102, 103}) {
        CAPTURE(seed);
        Swarm swarm({.seed = seed, .audit_period = no_audits});
        swarm.grow_to(9, 500ms);
        swarm.world().run_for(30s);
        swarm.network().deaf.insert({swarm.endpoint(1), "invite"});
        unsigned held_up = 0;
        for (unsigned i = 0; i < 12; ++i) {
            const auto began = swarm.world().now();
            const auto before = data_from(swarm, swarm.id(0));
            const auto object = publish(swarm, {.bytes = mib, .seed = seed * 100 + i});
            CHECK(object.result.copies.min == 4);
            CHECK(swarm.world().now() < began + 4s);
            if (swarm.world().now() > began + 1s) ++held_up;
            CHECK(data_from(swarm, swarm.id(0)) - before < mib * 13 / 10);
        }
        CHECK(held_up <= 1);
        asked += held_up;
    }
    CHECK(asked > 0);
}

TEST_CASE("two publishers of one file at the same moment both have their copies") {
    Swarm swarm({.seed = 97, .audit_period = no_audits});
    swarm.grow_to(10, 500ms);
    swarm.world().run_for(30s);
    const auto first = publish(swarm, {.bytes = 4 * mib});
    const auto data = swarm.network().data_bytes();
    const auto second = publish(swarm, {.publisher = 1, .bytes = 4 * mib});
    CHECK(first.root == second.root);
    CHECK(copies(swarm, first) >= 4);
    CHECK(copies(swarm, second) >= 4);
    // Only what the second publisher held itself, and so may not rely on, is made once more.
    CHECK(swarm.network().data_bytes() - data <= 4 * mib * 11 / 10);
}

TEST_CASE("an extent that is here without its object is kept with it, and not pulled again") {
    Swarm swarm({.seed = 97, .audit_period = no_audits});
    swarm.grow_to(6, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = mib, .copies = 2});
    const auto extent = object.descriptor.extents.front();
    const auto item = proto::ItemId::of(extent);
    const auto holders = swarm.holders(item);
    const auto holder = holders.back();
    std::size_t other = 1;
    while (std::ranges::find(holders, other) != holders.end())
        ++other;
    const auto tree = core::GroupTree::build(object.content, limits::hash_group_level);
    std::vector<store::NewExtent> extents;
    extents.push_back({extent,
                       core::Buffer::copy_of(object.content),
                       {tree.group_hashes().begin(), tree.group_hashes().end()}});
    REQUIRE(swarm.store(other).put_extents(std::move(extents)));

    const auto moved = swarm.network().data_bytes();
    proto::Invite invite;
    invite.lease = swarm.store(holder).leases(object.root).front();
    invite.items = {{item, ByteCount(mib)}};
    invite.sources = {swarm.engine(holder).local_record()};
    const auto reply = swarm.ask(holder, other, std::move(invite));
    REQUIRE(reply);
    swarm.world().run_for(3min);  // what nothing keeps is collected once a minute
    CHECK(swarm.store(other).has_extent(extent));
    CHECK(swarm.store(other).descriptor(object.root).has_value());
    CHECK(swarm.network().data_bytes() - moved < 10'000);
}

TEST_CASE("a publication that is stopped gets its copies in time, unless it is taken back") {
    enum class Then { nothing, withdrawn, withdrawn_by_itself };
    for (const auto then : {Then::nothing, Then::withdrawn, Then::withdrawn_by_itself}) {
        CAPTURE(static_cast<int>(then));
        Swarm swarm({.seed = 98, .audit_period = no_audits});
        swarm.grow_to(8, 500ms);
        swarm.world().run_for(30s);
        // When the first of them has some of it and the others are about to.
        std::stop_source stop;
        swarm.world().watch([&] {
            if (kept_by_others(swarm) >= mib) stop.request_stop();
        });
        auto request = request_of(24h, true);
        request.copies = 4;
        request.stop = stop.get_token();
        request.withdraw_on_stop = then == Then::withdrawn_by_itself;
        const auto result = swarm.publish(0, random_content(98, 16 * mib), request);
        swarm.world().watch({});
        REQUIRE(stop.stop_requested());
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code == Errc::interrupted);
        if (then == Then::withdrawn) {
            const auto told = swarm.withdraw(0, swarm.objects(0).front().root);
            REQUIRE(told.has_value());
            CHECK(told->holders_told > 0);
            CHECK(told->holders_obeyed == told->holders_told);
        }
        swarm.world().run_for(15min);
        const auto objects = swarm.objects(0);
        if (then == Then::nothing) {
            REQUIRE(objects.size() == 1);
            CHECK(objects.front().published);
            CHECK(objects.front().copies_min == 4);
        } else {
            CHECK(objects.empty());
            for (std::size_t node = 1; node < swarm.size(); ++node)
                CHECK(swarm.store(node).usage().extents == 0);
        }
    }
}

TEST_CASE("of two that publish the same one may be stopped, and with both it is withdrawn") {
    bool both = false;
    SUBCASE("one") {}
    SUBCASE("both") {
        both = true;
    }
    Swarm swarm({.seed = 100, .audit_period = no_audits});
    swarm.grow_to(8, 500ms);
    swarm.world().run_for(30s);
    const auto content = random_content(100, 16 * mib);
    std::stop_source first_stop, second_stop;
    const auto request_with = [](const std::stop_source& stop, unsigned copies) {
        PublishRequest request;
        request.copies = copies;
        request.stop = stop.get_token();
        request.withdraw_on_stop = true;
        return request;
    };
    swarm.world().watch([&] {
        if (kept_by_others(swarm) < mib) return;
        first_stop.request_stop();
        if (both) second_stop.request_stop();
    });
    std::optional<Result<PublishResult>> first, second;
    swarm.begin_to_publish(0, content, request_with(first_stop, 2), &first);
    swarm.begin_to_publish(0, content, request_with(second_stop, 4), &second);
    swarm.world().run_for(5min, [&] { return first && second; });
    swarm.world().watch({});
    REQUIRE((first && second));
    CHECK_FALSE(first->has_value());
    CHECK(second->has_value() != both);
    swarm.world().run_for(15min);
    const auto objects = swarm.objects(0);
    if (both) {
        CHECK(objects.empty());
        for (std::size_t node = 1; node < swarm.size(); ++node)
            CHECK(swarm.store(node).usage().extents == 0);
    } else {
        REQUIRE(objects.size() == 1);
        CHECK(objects.front().published);
        CHECK(objects.front().copies_min == 4);
    }
}

TEST_CASE("what was published before stays so when publishing it again is stopped") {
    Swarm swarm({.seed = 99, .audit_period = no_audits});
    swarm.grow_to(8, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 16 * mib, .copies = 2});
    const auto before = kept_by_others(swarm);
    std::stop_source stop;
    swarm.world().watch([&] {
        if (kept_by_others(swarm) >= before + mib) stop.request_stop();
    });
    PublishRequest request;
    request.copies = 4;
    request.stop = stop.get_token();
    request.withdraw_on_stop = true;
    CHECK_FALSE(swarm.publish(0, object.content, request).has_value());
    swarm.world().watch({});
    CHECK(stop.stop_requested());
    swarm.world().run_for(5min);
    CHECK(copies(swarm, object) >= 2);
    CHECK(readable(swarm, object, 7));
}
