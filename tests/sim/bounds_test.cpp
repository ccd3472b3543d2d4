// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <chrono>
#include <cstring>

#include <flow29/limits.hpp>
#include "sim/object.hpp"

// What a node sets itself as bounds: quotas, and the budget of repair.

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

ByteCount used_by(Swarm& swarm, std::size_t node, std::size_t publisher) {
    return swarm.store(node).used_by(swarm.identity(publisher).public_key(),
                                     swarm.world().wall_now());
}

/// Publishes files of 150 kB from a node until nobody takes one any more; how many were tried.
unsigned publish_until_refused(Swarm& swarm, std::size_t publisher, std::uint64_t seed) {
    for (unsigned tried = 1; tried < 60; ++tried) {
        const auto result =
            swarm.publish(publisher, random_content(seed + tried, 150'000), request_of(24h, false));
        REQUIRE(result.has_value());
        if (result->copies.min > 0) continue;
        CHECK(result->shortfall.find("over the quota of this publisher") != std::string::npos);
        return tried;
    }
    return 60;
}

}  // namespace

TEST_CASE("a stranger that publishes until it is refused leaves room for others") {
    constexpr ByteCount capacity(2 << 20);
    Swarm swarm({.seed = 51,
                 .capacity = capacity,
                 .quota_publisher = limits::quota_publisher_default,
                 .quota_group = limits::quota_group_default});
    swarm.grow_to(7, 500ms);
    swarm.world().run_for(30s);
    const auto tried = publish_until_refused(swarm, 0, 1000);
    CHECK(tried > 4);
    CHECK(tried < 60);
    for (std::size_t node = 1; node < swarm.size(); ++node) {
        CAPTURE(node);
        CHECK(used_by(swarm, node, 0).value <= capacity.value / 2 + 8'000);
        CHECK(used_by(swarm, node, 0).value > capacity.value / 4);
        CHECK(swarm.store(node).usage().used <= capacity);
    }
    SUBCASE("at once") {}
    SUBCASE("after the holders were started anew") {
        for (std::size_t node = 1; node < swarm.size(); ++node) {
            swarm.crash(node);
            swarm.world().run_for(1s);
            swarm.restart(node);
            swarm.world().run_for(20s);
        }
        const auto again = swarm.publish(0, random_content(9, 150'000), request_of(24h, false));
        REQUIRE(again.has_value());
        CHECK(again->copies.min == 0);
    }
    const auto other = swarm.publish(1, random_content(7, 150'000), request_of(24h, false));
    REQUIRE(other.has_value());
    CHECK(other->copies.min == 4);
}

TEST_CASE("an invitation that names extents shorter than they are is not followed") {
    Swarm swarm({.seed = 57});
    swarm.grow_to(4, 500ms);
    swarm.world().run_for(30s);
    auto request = request_of(24h, false);
    request.wait = PublishWait::none;
    const auto result = swarm.publish(0, random_content(1, 300'000), request);
    REQUIRE(result.has_value());
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    proto::Invite invite;
    invite.lease = swarm.store(0).leases(result->root).at(0);
    for (const auto& extent : descriptor.extents)
        invite.items.push_back({proto::ItemId::of(extent), ByteCount(100)});
    invite.sources = {swarm.engine(0).local_record()};
    const auto before = swarm.engine(1).keeper().pulled();
    const auto reply = swarm.ask(0, 1, std::move(invite));
    if (reply) {
        const auto& answers = std::get<proto::InviteReply>(reply->message).answers;
        REQUIRE(answers.at(0) == proto::InviteAnswer::accepted);
    }
    swarm.world().run_for(1s);
    CHECK(swarm.engine(1).keeper().pulled() == before);
    CHECK(swarm.engine(1).keeper().coming() == 0);
    CHECK(swarm.store(1).usage().extents == 0);
    CHECK(swarm.store(1).usage().reserved == ByteCount(0));
}

TEST_CASE("addresses that a peer may not name are not remembered from its holder tables") {
    Swarm swarm({.seed = 54});
    swarm.grow_to(3, 1s);
    const auto record_at = [&swarm](std::uint64_t seed, std::vector<const char*> addresses) {
        const auto identity = make_identity(seed);
        proto::NodeRecord record;
        for (const auto* address : addresses)
            record.addresses.push_back(core::Endpoint::parse(address).value());
        record.storing = true;
        record.started_ms = record.sequence = to_unix_ms(swarm.world().wall_now());
        record.expires = swarm.world().wall_now() + 1h;
        record.sign(identity);
        return record;
    };
    const auto named = record_at(1001, {"10.9.9.9:2929", "203.0.113.1:2929"});
    const auto narrower = record_at(1002, {"127.0.0.1:2929"});
    const auto mixed = record_at(1003, {"10.9.9.9:2929", "127.0.0.1:2929"});
    proto::UpdateHolders update;
    update.table.nodes = {named, narrower, mixed};
    swarm.tell(1, 2, update);
    CHECK(swarm.store(2).node_record(named.node()).has_value());
    CHECK_FALSE(swarm.store(2).node_record(narrower.node()).has_value());
    CHECK_FALSE(swarm.store(2).node_record(mixed.node()).has_value());
}

TEST_CASE("a lease that comes without an invitation is bound by the quota as well") {
    constexpr ByteCount capacity(1 << 20);
    Swarm swarm({.seed = 58,
                 .capacity = capacity,
                 .quota_publisher = limits::quota_publisher_default,
                 .quota_group = limits::quota_group_default});
    swarm.grow_to(6, 500ms);
    swarm.world().run_for(30s);
    const auto large = swarm.publish(0, random_content(1, 400'000), request_of(24h, false));
    const auto small = swarm.publish(1, random_content(2, 150'000), request_of(24h, false));
    REQUIRE(large.has_value());
    REQUIRE(small.has_value());
    const auto descriptor = descriptor_on(swarm, 1, small->root);
    std::size_t holder = 2;
    while (!swarm.store(holder).owns_extent(descriptor.extents[0]) ||
           used_by(swarm, holder, 0).value < 400'000)
        REQUIRE(++holder < swarm.size());
    // Node 0 would have it keep 550 kB in all.
    auto lease = swarm.store(1).leases(small->root).at(0);
    ++lease.sequence;
    lease.sign(swarm.identity(0));
    const auto before = swarm.store(holder).leases(small->root);
    const auto refused = swarm.ask(0, holder, proto::UpdateLease{lease});
    REQUIRE_FALSE(refused.has_value());
    CHECK(swarm.store(holder).leases(small->root) == before);
    // A reader who has nothing else there is welcome.
    lease.sign(swarm.identity(2 + (holder == 2 ? 1 : 0)));
    const auto taken = swarm.ask(2 + (holder == 2 ? 1 : 0), holder, proto::UpdateLease{lease});
    REQUIRE(taken.has_value());
    CHECK(std::get<proto::LeaseReply>(taken->message).applied);
}

TEST_CASE("a lease that ends further ahead than one may is not taken in") {
    Swarm swarm({.seed = 60});
    swarm.grow_to(3, 500ms);
    swarm.world().run_for(30s);
    const auto result = swarm.publish(0, random_content(1, 10'000), request_of(24h, false));
    REQUIRE(result.has_value());
    const auto before = swarm.store(1).leases(result->root);
    REQUIRE(before.size() == 1);
    const auto ask = [&](Duration ahead) {
        auto lease = before.front();
        ++lease.sequence;
        lease.expires =
            std::chrono::floor<std::chrono::milliseconds>(swarm.world().wall_now() + ahead);
        lease.sign(swarm.identity(0));
        return swarm.ask(0, 1, proto::UpdateLease{lease});
    };
    CHECK_FALSE(ask(limits::lease_max + 2h).has_value());  // clocks differ by less
    CHECK(swarm.store(1).leases(result->root) == before);
    CHECK(ask(limits::lease_max).has_value());
    CHECK(swarm.store(1).leases(result->root) != before);
}

/// An extent that nobody has.
proto::Invite::Item nowhere(std::uint32_t number, std::uint64_t bytes) {
    ExtentHash hash;
    std::memcpy(hash.bytes.data(), &number, sizeof number);
    return {proto::ItemId::of(hash), ByteCount(bytes)};
}

/// A lease of an object that nobody has.
proto::Lease lease_of_nothing(Swarm& swarm, std::size_t publisher) {
    proto::Lease lease;
    lease.root.bytes[0] = 1;
    lease.copies = 4;
    lease.expires = std::chrono::floor<std::chrono::milliseconds>(swarm.world().wall_now() + 24h);
    lease.sequence = 1;
    lease.sign(swarm.identity(publisher));
    return lease;
}

TEST_CASE("so many bytes are accepted that are not here yet, of one network half of them") {
    Swarm swarm({.seed = 61, .capacity = ByteCount(4 * limits::coming_bytes_max)});
    swarm.grow_to(3, 500ms);
    swarm.world().run_for(30s);
    proto::Invite invite;
    invite.lease = lease_of_nothing(swarm, 0);
    constexpr auto fitting = limits::coming_bytes_max / 2 / limits::extent_bytes_max;
    for (std::uint32_t i = 0; i <= fitting; ++i)
        invite.items.push_back(nowhere(i, limits::extent_bytes_max));
    const auto reply = swarm.ask(0, 1, std::move(invite));
    REQUIRE(reply.has_value());
    const auto& answers = std::get<proto::InviteReply>(reply->message).answers;
    REQUIRE(answers.size() == fitting + 1);
    for (std::size_t i = 0; i < fitting; ++i)
        CHECK(answers[i] == proto::InviteAnswer::accepted);
    CHECK(answers.back() == proto::InviteAnswer::busy);
    // Another network is not kept out by it.
    proto::Invite another;
    another.lease = lease_of_nothing(swarm, 2);
    another.items.push_back(nowhere(0, limits::extent_bytes_max - 1));
    const auto other = swarm.ask(2, 1, std::move(another));
    REQUIRE(other.has_value());
    CHECK(std::get<proto::InviteReply>(other->message).answers.front() ==
          proto::InviteAnswer::accepted);
}

TEST_CASE("so many items are accepted that are not here yet, of one network half of them") {
    Swarm swarm({.seed = 62, .capacity = ByteCount(limits::coming_items_max * 4'096)});
    swarm.grow_to(2, 500ms);
    swarm.world().run_for(30s);
    constexpr unsigned messages = limits::coming_items_max / 2 / limits::items_per_message_max;
    static_assert(2 * messages * limits::items_per_message_max == limits::coming_items_max);
    std::vector<std::optional<Result<net::Reply>>> replies(messages + 1);
    std::uint32_t number = 0;
    for (auto& reply : replies) {
        proto::Invite invite;
        invite.lease = lease_of_nothing(swarm, 0);
        for (unsigned i = 0; i < limits::items_per_message_max; ++i)
            invite.items.push_back(nowhere(number++, 1));
        swarm.begin_to_ask(0, 1, std::move(invite), &reply);
    }
    swarm.world().run_for(1min, [&] {
        return std::ranges::all_of(replies, [](const auto& reply) { return reply.has_value(); });
    });
    std::size_t accepted = 0;
    std::size_t busy = 0;
    for (const auto& reply : replies) {
        REQUIRE(reply.has_value());
        REQUIRE(reply->has_value());
        for (const auto answer : std::get<proto::InviteReply>((*reply)->message).answers) {
            accepted += answer == proto::InviteAnswer::accepted ? 1 : 0;
            busy += answer == proto::InviteAnswer::busy ? 1 : 0;
        }
    }
    CHECK(accepted == limits::coming_items_max / 2);
    CHECK(busy == limits::items_per_message_max);
}

TEST_CASE("two keys in one address group share the quota of the group") {
    constexpr ByteCount capacity(2 << 20);
    Swarm swarm({.seed = 52,
                 .capacity = capacity,
                 .nodes_per_group = 2,
                 .quota_publisher = limits::quota_publisher_default,
                 .quota_group = limits::quota_group_default});
    swarm.grow_to(10, 500ms);
    swarm.world().run_for(30s);
    for (std::uint64_t round = 0; round < 16; ++round)
        for (const std::size_t publisher : {0UL, 1UL})
            (void)swarm.publish(publisher, random_content(round * 2 + publisher, 150'000),
                                request_of(24h, false));
    const auto group = swarm.engine(0).local_record().addresses.front().group();
    const auto now = swarm.world().wall_now();
    std::uint64_t most = 0;
    for (std::size_t node = 2; node < swarm.size(); ++node)
        most = std::max(most, swarm.store(node).used_by(group, now).value);
    CHECK(most > capacity.value / 2);
    CHECK(most <= capacity.value / 4 * 3 + 8'000);
    const auto other = swarm.publish(9, random_content(7, 150'000), request_of(24h, false));
    REQUIRE(other.has_value());
    CHECK(other->copies.min == 4);
}

TEST_CASE("repair keeps to its bytes a second over every ten seconds, and publishing does not") {
    constexpr std::uint64_t rate = 100 << 10;
    Swarm swarm({.seed = 55, .grace = 1min});
    swarm.grow_to(6, 500ms);
    swarm.world().run_for(30s);
    for (std::size_t node = 0; node < swarm.size(); ++node) {
        const auto limits = swarm.finish(
            node, swarm.engine(node).limit({.up = {}, .down = {}, .repair = ByteCount(rate)}));
        REQUIRE(limits.has_value());
        CHECK(limits->repair == ByteCount(rate));
    }
    auto request = request_of(24h, false);
    request.extent_level = 11;
    const auto before = swarm.world().now();
    const auto result = swarm.publish(0, random_content(1, 8 << 20), request);
    REQUIRE(result.has_value());
    CHECK(result->copies.min == 4);
    CHECK(swarm.world().now() - before < 30s);
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    std::size_t victim = 1;
    while (!swarm.store(victim).has_extent(descriptor.extents[0]))
        ++victim;
    std::vector<std::uint64_t> pulled(swarm.size());
    for (std::size_t node = 0; node < swarm.size(); ++node)
        pulled[node] = swarm.engine(node).keeper().pulled().value;
    const auto start = pulled;
    swarm.crash(victim);
    unsigned busy = 0;
    for (int window = 0; window < 90; ++window) {
        swarm.world().run_for(10s);
        for (std::size_t node = 0; node < swarm.size(); ++node) {
            if (!swarm.up(node)) continue;
            const auto now = swarm.engine(node).keeper().pulled().value;
            const auto moved = now - pulled[node];
            pulled[node] = now;
            CAPTURE(window);
            CAPTURE(node);
            CHECK(moved <= rate * 10 * 105 / 100);
            if (moved >= rate * 10 * 95 / 100) ++busy;
        }
    }
    CHECK(busy >= 3);
    CHECK(swarm.copies(result->root, descriptor, 0) >= 4);
    std::uint64_t repaired = 0;
    for (std::size_t node = 0; node < swarm.size(); ++node)
        if (swarm.up(node)) repaired += pulled[node] - start[node];
    CHECK(repaired >= 1 << 20);
}

TEST_CASE("what is withdrawn while a copy of it is being made is not kept") {
    Swarm swarm({.seed = 59, .grace = 1min});
    swarm.grow_to(6, 500ms);
    swarm.world().run_for(30s);
    for (std::size_t node = 0; node < swarm.size(); ++node)
        (void)swarm.finish(
            node, swarm.engine(node).limit({.up = {}, .down = {}, .repair = ByteCount(50 << 10)}));
    auto request = request_of(24h, false);
    request.extent_level = 11;
    const auto result = swarm.publish(0, random_content(1, 4 << 20), request);
    REQUIRE(result.has_value());
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    swarm.crash(swarm.keepers(descriptor, 0).front());
    std::size_t puller = 0;
    const bool pulling = swarm.world().run_for(5min, [&] {
        for (std::size_t node = 1; node < swarm.size(); ++node)
            if (swarm.up(node) && swarm.engine(node).keeper().coming() > 0) puller = node;
        return puller != 0;
    });
    REQUIRE(pulling);
    swarm.world().run_for(3s);
    REQUIRE(swarm.engine(puller).keeper().coming() > 0);
    REQUIRE(swarm.withdraw(0, result->root).has_value());
    swarm.world().run_for(5min);
    CHECK(swarm.engine(puller).keeper().coming() == 0);
    CHECK(swarm.keepers(descriptor, std::nullopt).empty());
    CHECK(swarm.store(puller).usage().reserved == ByteCount(0));
}
