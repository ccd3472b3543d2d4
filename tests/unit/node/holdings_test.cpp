// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/holdings.hpp"

#include <doctest/doctest.h>

#include "core/hash.hpp"
#include "core/merkle.hpp"

using namespace flow29;
using proto::Holding;

namespace {

constexpr WallTime now{std::chrono::hours(24 * 365 * 56)};
constexpr auto day = std::chrono::hours(24);

core::Identity new_identity() {
    auto identity = core::Identity::generate();
    REQUIRE(identity);
    return std::move(*identity);
}

/// A store with one object of one extent, and an item that it lacks.
struct Fixture {
    std::unique_ptr<store::Store> store = store::make_memory_store(ByteCount(1 << 20));
    core::Identity self = new_identity();
    core::Identity other = new_identity();
    core::Descriptor descriptor{ObjectKind::file, ByteCount(1'024), 1, {}};
    std::vector<proto::ItemId> items;

    Fixture() {
        core::Buffer data(1'024);
        std::fill(data.data(), data.data() + data.size(), std::uint8_t{7});
        const auto tree = core::GroupTree::build(data.view(), limits::hash_group_level);
        const auto groups = tree.group_hashes();
        descriptor.extents = {tree.top()};
        items = {proto::ItemId::of(descriptor.root()), proto::ItemId::of(tree.top()),
                 proto::ItemId::of(ExtentHash{})};
        REQUIRE(store->put_object(descriptor.root(), descriptor, ""));
        std::vector<store::NewExtent> extents;
        extents.push_back({tree.top(), std::move(data), {groups.begin(), groups.end()}});
        REQUIRE(store->put_extents(std::move(extents)));
    }

    void lease_by(const core::Identity& publisher, WallTime expires, bool withdrawn = false) {
        proto::Lease lease;
        lease.root = descriptor.root();
        lease.expires = expires;
        lease.sequence = withdrawn ? 2 : 1;
        lease.withdrawn = withdrawn;
        lease.sign(publisher);
        REQUIRE(store->put_lease(lease));
    }
    void invite() { REQUIRE(node::mark_kept(*store, descriptor.root(), {items[1]}, self.id())); }
    [[nodiscard]] std::vector<Holding> holdings() const {
        return node::holdings_of(*store, items, self, now);
    }
};

const std::vector cached{Holding::cached, Holding::cached, Holding::lacks};
const std::vector kept{Holding::kept, Holding::kept, Holding::lacks};

}  // namespace

TEST_CASE("what was only fetched is cached") {
    const Fixture fixture;
    CHECK(fixture.holdings() == cached);
}

TEST_CASE("what a publisher's own lease keeps may leave with the publisher") {
    Fixture fixture;
    fixture.lease_by(fixture.self, now + day);
    CHECK(fixture.holdings() == cached);
}

TEST_CASE("what was fetched of a leased object, without being asked to keep it, is cached") {
    Fixture fixture;
    fixture.lease_by(fixture.other, now + day);
    CHECK(fixture.holdings() == cached);
}

TEST_CASE(
    "another's lease keeps what this node was invited to keep, until it ends or is withdrawn") {
    Fixture fixture;
    fixture.lease_by(fixture.self, now + day);
    fixture.invite();
    CHECK(fixture.holdings() == cached);
    fixture.lease_by(fixture.other, now + day);
    CHECK(fixture.holdings() == kept);

    SUBCASE("its end") {
        CHECK(node::holdings_of(*fixture.store, fixture.items, fixture.self, now + day) == cached);
    }
    SUBCASE("its withdrawal") {
        fixture.lease_by(fixture.other, now + day, true);
        CHECK(fixture.holdings() == cached);
    }
}
