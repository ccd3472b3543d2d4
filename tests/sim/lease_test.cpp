// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <chrono>

#include "sim/object.hpp"

// What leases begin, renew and end, over hours of virtual time.

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

PublishRequest for_an_hour(unsigned copies = 4) {
    PublishRequest request;
    request.copies = copies;
    request.extent_level = 7;
    request.lease = 1h;
    request.renew = false;
    return request;
}

/// A swarm that has met, and an object of three extents published by node 0.
struct Published {
    explicit Published(Swarm::Options options, PublishRequest request, std::size_t nodes = 8)
        : swarm(options) {
        swarm.grow_to(nodes, 500ms);
        swarm.world().run_for(30s);
        const auto result = swarm.publish(0, content, std::move(request));
        REQUIRE(result.has_value());
        root = result->root;
        descriptor = descriptor_on(swarm, 0, root);
    }
    [[nodiscard]] unsigned copies() { return swarm.copies(root, descriptor, 0); }
    [[nodiscard]] std::vector<std::size_t> keepers() { return swarm.keepers(descriptor, 0); }

    Bytes content = random_content(21, 150'000);
    Swarm swarm;
    RootHash root;
    core::Descriptor descriptor;
};

std::optional<proto::Lease> lease_at(store::Store& store, const RootHash& root,
                                     const PublicKey& publisher) {
    for (const auto& lease : store.leases(root))
        if (lease.publisher == publisher) return lease;
    return std::nullopt;
}

/// Has a node ask another one to hold an object's descriptor under a lease.
proto::InviteAnswer invite(Swarm& swarm, std::size_t from, std::size_t to,
                           const proto::Lease& lease, const core::Descriptor& descriptor) {
    proto::Invite invite;
    invite.lease = lease;
    invite.items = {{proto::ItemId::of(lease.root), ByteCount(descriptor.encode().size())}};
    invite.sources = {swarm.engine(from).local_record()};
    const auto reply = swarm.ask(from, to, std::move(invite));
    REQUIRE(reply.has_value());
    return std::get<proto::InviteReply>(reply->message).answers.at(0);
}

/// Whether the node that was told took the lease in.
bool tell(Swarm& swarm, std::size_t from, std::size_t to, const proto::Lease& lease) {
    const auto reply = swarm.ask(from, to, proto::UpdateLease{lease});
    REQUIRE(reply.has_value());
    return std::get<proto::LeaseReply>(reply->message).applied;
}

}  // namespace

TEST_CASE("what is published for an hour is gone after it everywhere, and its space is free") {
    Published object({.seed = 31}, for_an_hour());
    CHECK(object.copies() == 4);
    object.swarm.world().run_for(55min);
    CHECK(object.copies() == 4);
    object.swarm.world().run_for(8min);
    CHECK(object.keepers().empty());
    for (std::size_t node = 0; node < object.swarm.size(); ++node) {
        CAPTURE(node);
        CHECK(object.swarm.store(node).usage().extents == 0);
        CHECK(object.swarm.store(node).usage().objects == 0);
        CHECK(object.swarm.engine(node).caretaker().planner().items().empty());
    }
}

TEST_CASE("what is published again with fewer copies is wished so by all that hold it") {
    Published object({.seed = 33}, for_an_hour(6));
    CHECK(object.copies() == 6);
    const auto holders = object.keepers();
    object.swarm.world().run_for(1min);
    const auto again = object.swarm.publish(0, object.content, for_an_hour(3));
    REQUIRE(again.has_value());
    CHECK(again->target == 3);
    object.swarm.world().run_for(10s);
    const auto publisher = object.swarm.identity(0).public_key();
    for (const auto node : holders) {
        CAPTURE(node);
        const auto lease = lease_at(object.swarm.store(node), object.root, publisher);
        REQUIRE(lease.has_value());
        CHECK(lease->copies == 3);
    }
}

TEST_CASE("a lease that ended while its holder was away is collected after its return") {
    Published object({.seed = 32}, for_an_hour());
    const auto away = object.keepers().front();
    object.swarm.crash(away);
    object.swarm.world().run_for(2h);
    CHECK(object.keepers().empty());
    object.swarm.restart(away);
    object.swarm.world().run_for(2min);
    CHECK(object.swarm.store(away).usage().extents == 0);
    CHECK(object.keepers().empty());
}

TEST_CASE("an ended lease is not repaired, one that runs is") {
    Published object({.seed = 33, .grace = 2min}, for_an_hour(), 10);
    auto forever = for_an_hour(4);
    forever.lease = 24h;
    const auto other = object.swarm.publish(1, random_content(22, 150'000), forever);
    REQUIRE(other.has_value());
    const auto descriptor = descriptor_on(object.swarm, 1, other->root);
    object.swarm.world().run_for(62min);
    const auto victim = object.swarm.keepers(descriptor, 1).front();
    object.swarm.crash(victim);
    object.swarm.world().run_for(10min);
    CHECK(object.keepers().empty());
    CHECK(object.swarm.copies(other->root, descriptor, 1) >= 4);
}

TEST_CASE("a withdrawal frees the space of every holder at once") {
    Published object({.seed = 34}, for_an_hour());
    const auto told = object.swarm.withdraw(0, object.root);
    REQUIRE(told.has_value());
    CHECK(told->holders_told == told->holders_obeyed);
    object.swarm.world().run_for(5s);
    for (std::size_t node = 0; node < object.swarm.size(); ++node)
        CHECK(object.swarm.store(node).usage().extents == 0);
}

TEST_CASE("what was fetched stays when something else is withdrawn, until its room is needed") {
    Published object({.seed = 34, .capacity = ByteCount(2 << 20)}, for_an_hour());
    const auto node = object.keepers().front();
    auto& store = object.swarm.store(node);
    const auto content = random_content(29, 300'000);
    const auto tree = core::GroupTree::build(content, limits::hash_group_level);
    const auto hash = tree.top();
    core::Descriptor fetched;
    fetched.length = ByteCount(content.size());
    fetched.level = 10;
    fetched.extents = {hash};
    REQUIRE(store.put_object(fetched.root(), fetched, "fetched"));
    std::vector<store::NewExtent> extents;
    extents.push_back({hash,
                       core::Buffer::copy_of(content),
                       {tree.group_hashes().begin(), tree.group_hashes().end()}});
    REQUIRE(store.put_extents(std::move(extents)));
    REQUIRE(object.swarm.withdraw(0, object.root).has_value());
    object.swarm.world().run_for(2min);
    CHECK(store.usage().extents == 1);
    CHECK(store.has_extent(hash));

    // More than fits beside it.
    const auto large = object.swarm.publish(node, random_content(30, 1'900'000), for_an_hour(1));
    CHECK(large.has_value());
    CHECK_FALSE(store.has_extent(hash));
}

TEST_CASE("of two publishers of one file each ends its own lease only") {
    Published object({.seed = 35, .grace = 1min}, for_an_hour(5), 9);
    auto second = for_an_hour(2);
    second.lease = 3h;
    const auto again = object.swarm.publish(1, object.content, second);
    REQUIRE(again.has_value());
    REQUIRE(again->root == object.root);
    object.swarm.world().run_for(1min);
    CHECK(object.copies() >= 5);

    SUBCASE("by withdrawing it") {
        REQUIRE(object.swarm.withdraw(0, object.root).has_value());
        object.swarm.world().run_for(2min);
    }
    SUBCASE("by its end") {
        object.swarm.world().run_for(61min);
    }
    const auto keepers = object.keepers();
    CHECK(keepers.size() >= 2);
    // The copies stay, but only two are wanted from now on.
    for (const auto node : keepers) {
        if (node == 1) continue;
        const auto& planner = object.swarm.engine(node).caretaker().planner();
        for (const auto& item : planner.items())
            CHECK(planner.target(item) == 2);
    }
    std::size_t crashed = 0;
    for (const auto node : keepers)
        if (node != 1 && crashed < 2) {
            object.swarm.crash(node);
            ++crashed;
        }
    object.swarm.world().run_for(10min);
    CHECK(object.swarm.copies(object.root, object.descriptor, 1) >= 2);
    const auto fetched = object.swarm.fetch(8, object.root);
    REQUIRE(fetched.has_value());
    CHECK(*fetched == object.content);
    // The second publisher's own end is everybody's.
    if (object.swarm.up(1)) REQUIRE(object.swarm.withdraw(1, object.root).has_value());
    object.swarm.world().run_for(2min);
    CHECK(object.swarm.keepers(object.descriptor, std::nullopt).empty());
}

TEST_CASE("only the publisher can withdraw") {
    Published object({.seed = 36}, for_an_hour());
    const auto refused = object.swarm.withdraw(object.keepers().front(), object.root);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::refused);
    CHECK(object.copies() == 4);
}

TEST_CASE("a withdrawal that was replayed, or signed by another, ends nothing") {
    Published object({.seed = 37}, for_an_hour());
    auto& swarm = object.swarm;
    const auto holder = object.keepers().front();
    const auto publisher = swarm.identity(0).public_key();
    const std::size_t other = holder == 1 ? 2 : 1;
    const auto first = lease_at(swarm.store(holder), object.root, publisher);
    REQUIRE(first.has_value());

    auto old = *first;
    old.withdrawn = true;
    old.sequence = first->sequence - 1;
    old.sign(swarm.identity(0));
    CHECK_FALSE(tell(swarm, other, holder, old));

    auto foreign = *first;
    foreign.withdrawn = true;
    foreign.sequence = first->sequence + 1;
    foreign.sign(swarm.identity(other));
    (void)tell(swarm, other, holder, foreign);  // there is no lease of its own to end

    swarm.world().run_for(2min);
    CHECK(lease_at(swarm.store(holder), object.root, publisher) == first);
    CHECK(object.copies() == 4);
}

TEST_CASE("an invitation under a withdrawn lease is refused, and who sends it learns of the end") {
    Published object({.seed = 38, .grace = 1min}, for_an_hour(), 9);
    auto& swarm = object.swarm;
    const auto away = object.keepers().front();
    const auto publisher = swarm.identity(0).public_key();
    const auto lease = lease_at(swarm.store(away), object.root, publisher);
    REQUIRE(lease.has_value());
    const auto others = object.keepers();
    swarm.crash(away);
    swarm.world().run_for(10s);
    REQUIRE(swarm.withdraw(0, object.root).has_value());
    swarm.world().run_for(1min);
    CHECK(object.keepers().empty());

    for (const auto node : others)
        if (node != away)
            CHECK(invite(swarm, 0, node, *lease, object.descriptor) ==
                  proto::InviteAnswer::refused);
    swarm.restart(away);
    swarm.world().run_for(5min);
    CHECK(object.keepers().empty());
    CHECK(swarm.store(away).usage().extents == 0);
}

TEST_CASE("a withdrawal reaches those whom only the holders can reach") {
    Published object({.seed = 39}, for_an_hour());
    auto& swarm = object.swarm;
    // The publisher is gone, and one holder alone heard it before.
    const auto keepers = object.keepers();
    auto end = *lease_at(swarm.store(0), object.root, swarm.identity(0).public_key());
    end.withdrawn = true;
    ++end.sequence;
    end.sign(swarm.identity(0));
    swarm.crash(0);
    CHECK(tell(swarm, keepers.back(), keepers.front(), end));
    swarm.world().run_for(1min);
    CHECK(object.keepers().empty());
}

TEST_CASE("a full node collects what has ended before it says that it is full") {
    Swarm swarm({.seed = 40, .capacity = ByteCount(1 << 20)});
    swarm.grow_to(5, 500ms);
    swarm.world().run_for(30s);
    const auto first = swarm.publish(0, random_content(1, 450'000), for_an_hour(3));
    REQUIRE(first.has_value());
    CHECK(first->copies.min == 3);
    const auto refused = swarm.publish(1, random_content(2, 450'000), for_an_hour(3));
    REQUIRE(refused.has_value());
    swarm.world().run_for(59min + 45s);
    const auto used = swarm.store(2).usage().used;
    CHECK(used.value > 400'000);
    (void)used;
    // The lease is over, and the next look is yet to come.
    swarm.world().run_for(15s);
    const auto second = swarm.publish(4, random_content(3, 450'000), for_an_hour(3));
    REQUIRE(second.has_value());
    CHECK(second->copies.min == 3);
    for (std::size_t node = 0; node < swarm.size(); ++node) {
        const auto usage = swarm.store(node).usage();
        CHECK(usage.used <= usage.capacity);
    }
}

TEST_CASE(
    "what was published without an end is renewed, also for who was away and after a restart") {
    Swarm swarm({.seed = 53, .grace = 90min});
    swarm.grow_to(6, 500ms);
    swarm.world().run_for(30s);
    const auto result = swarm.publish(0, random_content(1, 300'000), request_of(1h, true));
    REQUIRE(result.has_value());
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    const auto away = swarm.keepers(descriptor, 0).front();
    swarm.crash(away);
    swarm.crash(0);
    swarm.world().run_for(20min);
    swarm.restart(0);
    swarm.world().run_for(35min);
    swarm.restart(away);
    for (int hours = 0; hours < 4; ++hours) {
        swarm.world().run_for(1h);
        CHECK(swarm.copies(result->root, descriptor, 0) >= 4);
        for (const auto node : swarm.keepers(descriptor, std::nullopt)) {
            CAPTURE(node);
            const auto leases = swarm.store(node).leases(result->root);
            REQUIRE(leases.size() == 1);
            CHECK(leases[0].copies == 4);
            CHECK(leases[0].expires > swarm.world().wall_now() + 25min);
        }
    }
    // Without its publisher nobody renews it.
    swarm.crash(0);
    swarm.world().run_for(65min);
    CHECK(swarm.keepers(descriptor, std::nullopt).empty());
}

TEST_CASE("who pins an object goes on with its lease, until it unpins it") {
    Swarm swarm({.seed = 54, .grace = 1min});
    swarm.grow_to(6, 500ms);
    swarm.world().run_for(30s);
    auto request = request_of(1h, false);
    const auto result = swarm.publish(0, random_content(1, 200'000), request);
    REQUIRE(result.has_value());
    const auto descriptor = descriptor_on(swarm, 0, result->root);
    std::size_t pinner = 1;
    while (swarm.store(pinner).object(result->root).value_or(store::ObjectInfo{}).extents_held !=
           descriptor.extents.size())
        ++pinner;
    const auto pinned = swarm.finish(pinner, swarm.engine(pinner).pins().set(result->root, true));
    REQUIRE(pinned.has_value());
    swarm.crash(0);
    swarm.world().run_for(3h);
    CHECK(swarm.copies(result->root, descriptor, pinner) >= 4);
    const auto leases = swarm.store(pinner).leases(result->root);
    CHECK(std::ranges::any_of(leases, [&](const proto::Lease& lease) {
        return lease.publisher == swarm.identity(pinner).public_key() &&
               lease.expires > swarm.world().wall_now() + 24h * 300;
    }));
    const auto unpinned =
        swarm.finish(pinner, swarm.engine(pinner).pins().set(result->root, false));
    REQUIRE(unpinned.has_value());
    swarm.world().run_for(2min);
    CHECK(swarm.keepers(descriptor, std::nullopt).empty());
}
