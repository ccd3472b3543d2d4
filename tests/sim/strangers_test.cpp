// SPDX-License-Identifier: GPL-3.0-or-later
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include <flow29/limits.hpp>

#include "sim/fake_peer.hpp"

// What strangers, of whom there may be any number, make a node remember and do.

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

/// Of an object that nobody has.
RootHash root_of(std::uint32_t number) {
    RootHash root;
    std::memcpy(root.bytes.data(), &number, sizeof number);
    return root;
}

proto::Lease lease_for(Swarm& swarm, const RootHash& root, const core::Identity& publisher) {
    proto::Lease lease;
    lease.root = root;
    lease.copies = 4;
    lease.expires = std::chrono::floor<std::chrono::milliseconds>(swarm.world().wall_now() + 24h);
    lease.sequence = 1;
    lease.sign(publisher);
    return lease;
}

std::vector<core::Identity> publishers(std::size_t count) {
    std::vector<core::Identity> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(make_identity(2'000'000 + i));
    return all;
}

asio::awaitable<void> hand_over(node::Engine* engine, net::PeerPtr from, proto::Message request) {
    (void)co_await engine->on_request(std::move(from), std::move(request));
}

/// Has somebody ask a node, whatever comes of it.
void ask(Swarm& swarm, std::size_t node, const std::shared_ptr<FakePeer>& from,
         proto::Message request) {
    net::spawn(swarm.runtime(node), hand_over(&swarm.engine(node), from, std::move(request)));
}

RootHash publish(Swarm& swarm, std::uint64_t seed, unsigned copies, PublishWait wait) {
    PublishRequest request;
    request.copies = copies;
    request.lease = 24h;
    request.renew = false;
    request.wait = wait;
    const auto result = swarm.publish(0, random_content(seed, 1000), request);
    REQUIRE(result.has_value());
    return result->root;
}

}  // namespace

TEST_CASE("so many nodes are remembered that were turned away for want of room") {
    Swarm swarm({.seed = 71,
                 .capacity = ByteCount(1 << 20),
                 .quota_publisher = limits::quota_publisher_default});
    swarm.grow_to(1, 500ms);
    const auto lease = lease_for(swarm, root_of(1), make_identity(2'000'000));
    for (std::uint32_t i = 0; i <= limits::turned_away_max; ++i) {
        proto::Invite invite;
        invite.lease = lease;
        invite.items = {{proto::ItemId::of(ExtentHash{root_of(i).bytes}), ByteCount(2 << 20)}};
        ask(swarm, 0, std::make_shared<FakePeer>(swarm, i), std::move(invite));
    }
    swarm.world().run_for(1s);
    CHECK(swarm.engine(0).keeper().turned_away() == limits::turned_away_max);
}

TEST_CASE("so many leases are remembered to tell others of them") {
    Swarm swarm({.seed = 72});
    swarm.grow_to(1, 500ms);
    const auto lessees = publishers(limits::leases_per_root_max - 1);  // and node 0
    const auto stranger = std::make_shared<FakePeer>(swarm, 1);
    for (std::size_t told = 0; told <= limits::lease_news_max; told += lessees.size()) {
        const auto root = publish(swarm, told, 1, PublishWait::none);
        for (const auto& publisher : lessees)
            ask(swarm, 0, stranger, proto::UpdateLease{lease_for(swarm, root, publisher)});
        swarm.world().run_for(1s);
        CHECK(swarm.store(0).leases(root).size() == limits::leases_per_root_max);
    }
    CHECK(swarm.engine(0).leases().news() == limits::lease_news_max);
}

TEST_CASE("so many others are told of leases at a time, and all in the end") {
    Swarm swarm({.seed = 73});
    swarm.grow_to(4, 500ms);
    swarm.world().run_for(30s);
    const auto root = publish(swarm, 1, 3, PublishWait::copies);
    swarm.world().run_for(30s);
    REQUIRE(swarm.engine(1).caretaker().holders_of(root).size() >= 2);
    const auto lessees = publishers(limits::leases_per_root_max - 1);
    static_assert(2 * (limits::leases_per_root_max - 1) > limits::leases_told_max);
    const auto stranger = std::make_shared<FakePeer>(swarm, 1);
    std::size_t most = 0;
    swarm.world().watch([&] { most = std::max(most, swarm.engine(1).leases().telling()); });
    for (const auto& publisher : lessees)
        ask(swarm, 1, stranger, proto::UpdateLease{lease_for(swarm, root, publisher)});
    swarm.world().run_for(5min);
    swarm.world().watch({});
    CHECK(most == limits::leases_told_max);
    for (std::size_t node = 1; node < swarm.size(); ++node)
        CHECK(swarm.store(node).leases(root).size() == limits::leases_per_root_max);
}

TEST_CASE("who appears is told of so many withdrawals") {
    Swarm swarm({.seed = 74});
    swarm.grow_to(1, 500ms);
    const auto publisher = make_identity(2'000'000);
    for (std::uint32_t i = 0; i <= limits::withdrawals_told_max; ++i) {
        auto withdrawal = lease_for(swarm, root_of(i), publisher);
        withdrawal.withdrawn = true;
        withdrawal.sign(publisher);
        REQUIRE(swarm.store(0).put_lease(withdrawal).has_value());
    }
    std::size_t told = 0;
    const auto listen = [&told](const proto::Message& request) -> Result<net::Reply> {
        if (!std::holds_alternative<proto::UpdateLease>(request))
            return fail(Errc::refused, "not looked at");
        ++told;
        return net::Reply{proto::LeaseReply{true}, core::Buffer()};
    };
    swarm.engine(0).on_peer(std::make_shared<FakePeer>(swarm, 1, listen));
    swarm.world().run_for(10s);
    CHECK(told == limits::withdrawals_told_max);
}

TEST_CASE("so many of those who call on the LAN are dialled again while nobody is connected") {
    Swarm swarm({.seed = 75});
    swarm.grow_to(1, 500ms);
    for (std::uint64_t i = 0; i <= limits::bootstrap_points_max; ++i)
        swarm.engine(0).on_heard(FakePeer::record_of(swarm, i).addresses.front());
    swarm.world().run_for(10s);
    // Three are named.
    const auto rest = "and " + std::to_string(limits::bootstrap_points_max - 3) + " more";
    const auto said = swarm.engine(0).neighbourhood().nobody_answered();
    CHECK_MESSAGE(said.find(rest) != std::string::npos, said);
}

TEST_CASE("of those whom one peer says are near so many are dialled") {
    Swarm swarm({.seed = 76});
    swarm.grow_to(1, 500ms);
    proto::ClosestReply named;
    for (std::uint64_t i = 0; i <= limits::closest_named_max; ++i)
        named.nodes.push_back(FakePeer::record_of(swarm, 100 + i));
    const auto name = [&named](const proto::Message& request) -> Result<net::Reply> {
        if (!std::holds_alternative<proto::GetClosest>(request))
            return fail(Errc::refused, "not looked at");
        return net::Reply{named, core::Buffer()};
    };
    swarm.engine(0).on_peer(std::make_shared<FakePeer>(swarm, 1, name));
    swarm.world().run_for(5min);
    const auto dialled = std::ranges::count_if(named.nodes, [&swarm](const auto& record) {
        return swarm.network().dials.contains(record.addresses.front());
    });
    CHECK(static_cast<std::size_t>(dialled) == limits::closest_named_max);
}

TEST_CASE("so many of those who are connected are asked what they keep of an object") {
    Swarm swarm({.seed = 77});
    swarm.grow_to(1, 500ms);
    const auto root = publish(swarm, 1, 1, PublishWait::none);
    std::set<std::uint64_t> asked;
    for (std::uint64_t i = 0; i <= limits::surveyed_max; ++i) {
        const auto listen = [&asked, i](const proto::Message& request) -> Result<net::Reply> {
            if (std::holds_alternative<proto::Have>(request)) asked.insert(i);
            return fail(Errc::refused, "nothing is kept here");
        };
        swarm.engine(0).on_peer(std::make_shared<FakePeer>(swarm, i, listen));
    }
    swarm.world().run_for(30s);
    asked.clear();
    const auto health = swarm.health(0, root);
    REQUIRE(health.has_value());
    CHECK(asked.size() == limits::surveyed_max);
}
