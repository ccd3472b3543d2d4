// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>

#include "support.hpp"

#include <algorithm>

namespace flow29::store::test {
namespace {

constexpr WallTime start{std::chrono::hours(24 * 365 * 50)};
constexpr auto day = std::chrono::hours(24);

/// Two objects of two 1,024-byte extents each, the second of which they share.
struct TwoObjects {
    NewExtent own_1 = make_extent(1, 1'024);
    NewExtent own_2 = make_extent(2, 1'024);
    NewExtent shared = make_extent(3, 1'024);
    core::Descriptor object_1 = object_of({own_1.hash, shared.hash}, 1, 1'024);
    core::Descriptor object_2 = object_of({own_2.hash, shared.hash}, 1, 1'024);
    RootHash root_1 = object_1.root();
    RootHash root_2 = object_2.root();

    void put_into(Store& store) const {
        REQUIRE(store.put_object(root_1, object_1, "one"));
        REQUIRE(store.put_object(root_2, object_2, ""));
        std::vector<NewExtent> all;
        for (std::uint64_t seed = 1; seed <= 3; ++seed)
            all.push_back(make_extent(seed, 1'024));
        REQUIRE(store.put_extents(std::move(all)));
    }
};

TEST_CASE_TEMPLATE("an object comes back as it was put", Stored, InMemory, OnDisk) {
    Stored store;
    const TwoObjects two;
    two.put_into(*store);
    CHECK(store->descriptor(two.root_1) == two.object_1);
    const auto info = store->object(two.root_1);
    REQUIRE(info);
    CHECK(info->root == two.root_1);
    CHECK(info->descriptor == two.object_1);
    CHECK(info->name == "one");
    CHECK(info->extents_held == 2);
    CHECK_FALSE(info->published);
    CHECK_FALSE(info->pinned);
    CHECK(info->added.time_since_epoch().count() > 0);

    const auto all = store->objects();
    REQUIRE(all.size() == 2);
    CHECK(all[0].root == two.root_1);
    CHECK(all[1].root == two.root_2);
    CHECK(store->usage().objects == 2);
    CHECK(store->roots_of(two.shared.hash) == std::vector{two.root_1, two.root_2});
    CHECK(store->roots_of(two.own_2.hash) == std::vector{two.root_2});
    CHECK(store->roots_of(make_id<ExtentHash>(9)).empty());
}

TEST_CASE_TEMPLATE("what has no mark and no lease, not even a withdrawn one, was fetched", Stored,
                   InMemory, OnDisk) {
    Stored store;
    const TwoObjects two;
    two.put_into(*store);
    const auto empty = object_of({make_id<ExtentHash>(9)}, 1, 512);
    REQUIRE(store->put_object(empty.root(), empty, "of which nothing is here"));
    auto fetched = store->fetched();
    std::ranges::sort(fetched);
    auto both = std::vector{two.root_1, two.root_2};
    std::ranges::sort(both);
    CHECK(fetched == both);
    REQUIRE(store->set_pinned(two.root_1, true));
    CHECK(store->fetched() == std::vector{two.root_2});
    REQUIRE(store->set_pinned(two.root_1, false));
    REQUIRE(store->set_published(two.root_2, true));
    CHECK(store->fetched() == std::vector{two.root_1});
    REQUIRE(store->set_published(two.root_2, false));
    const core::Identity publisher = new_identity();
    const auto lease = make_lease(publisher, two.root_1, 1, start + day);
    REQUIRE(store->put_lease(withdrawal_of(lease, publisher, 2)));
    CHECK(store->fetched() == std::vector{two.root_2});
}

TEST_CASE_TEMPLATE("an unknown object is not found", Stored, InMemory, OnDisk) {
    Stored store;
    const auto root = make_id<RootHash>(1);
    CHECK(code_of(store->descriptor(root)) == Errc::not_found);
    CHECK(code_of(store->object(root)) == Errc::not_found);
    CHECK(code_of(store->set_pinned(root, true)) == Errc::not_found);
    CHECK(code_of(store->set_published(root, true)) == Errc::not_found);
    CHECK(store->objects().empty());
    CHECK(store->leases(root).empty());
}

TEST_CASE_TEMPLATE("a descriptor of another root is refused", Stored, InMemory, OnDisk) {
    Stored store;
    const TwoObjects two;
    CHECK(code_of(store->put_object(two.root_2, two.object_1, "")) == Errc::verification_failed);
    CHECK(store->usage().objects == 0);
}

TEST_CASE_TEMPLATE("putting an object again changes nothing but an empty name", Stored, InMemory,
                   OnDisk) {
    Stored store;
    const TwoObjects two;
    two.put_into(*store);
    REQUIRE(store->set_pinned(two.root_2, true));
    const Usage before = store->usage();
    REQUIRE(store->put_object(two.root_1, two.object_1, "other"));
    CHECK(store->object(two.root_1)->name == "one");
    CHECK(store->usage().used == before.used);
    REQUIRE(store->put_object(two.root_2, two.object_2, "two"));
    CHECK(store->object(two.root_2)->name == "two");
    CHECK(store->usage().used == before.used + ByteCount(3));
    CHECK(store->object(two.root_2)->pinned);
    CHECK(store->object(two.root_2)->extents_held == 2);
    CHECK(store->usage().objects == 2);
}

TEST_CASE_TEMPLATE("the empty object and one of equal extents are held like others", Stored,
                   InMemory, OnDisk) {
    Stored store;
    core::Descriptor empty;
    REQUIRE(store->put_object(empty.root(), empty, "empty"));
    CHECK(store->object(empty.root())->extents_held == 0);
    CHECK(store->descriptor(empty.root()) == empty);

    const NewExtent extent = make_extent(1, 1'024);
    const auto repeated = object_of({extent.hash, extent.hash, extent.hash}, 1, 1'024);
    REQUIRE(store->put_object(repeated.root(), repeated, ""));
    CHECK(store->object(repeated.root())->extents_held == 0);
    REQUIRE(store->put_extents(one(make_extent(1, 1'024))));
    CHECK(store->object(repeated.root())->extents_held == 3);
    CHECK(store->roots_of(extent.hash) == std::vector{repeated.root()});
    const auto later = object_of({extent.hash, extent.hash}, 1, 1'024);
    REQUIRE(store->put_object(later.root(), later, ""));
    CHECK(store->object(later.root())->extents_held == 2);
    REQUIRE(store->collect(start));
    CHECK(store->objects().empty());
    CHECK(store->usage().used == ByteCount(0));
}

TEST_CASE_TEMPLATE("collect keeps what is pinned, published or leased, and only that", Stored,
                   InMemory, OnDisk) {
    Stored store;
    const TwoObjects two;
    const core::Identity publisher = new_identity();
    two.put_into(*store);
    const auto keep = [&](bool value, int how) {
        if (how == 0) REQUIRE(store->set_pinned(two.root_2, value));
        if (how == 1) REQUIRE(store->set_published(two.root_2, value));
        const auto lease =
            make_lease(publisher, two.root_2, value ? 1 : 2, start + std::chrono::hours(1));
        if (how == 2 && value) REQUIRE(store->put_lease(lease) == true);
        if (how == 2 && !value) REQUIRE(store->put_lease(withdrawal_of(lease, publisher, 2)));
    };
    for (int how = 0; how < 3; ++how) {
        CAPTURE(how);
        two.put_into(*store);
        keep(true, how);
        REQUIRE(store->collect(start));
        CHECK_FALSE(store->has_extent(two.own_1.hash));
        CHECK(store->has_extent(two.own_2.hash));
        CHECK(store->has_extent(two.shared.hash));
        // The descriptor stays as long as one of its extents does.
        CHECK(store->object(two.root_1)->extents_held == 1);
        keep(false, how);
        REQUIRE(store->collect(start));
        CHECK(store->usage().extents == 0);
        CHECK(store->usage().objects == 0);
        CHECK(code_of(store->object(two.root_1)) == Errc::not_found);
    }
}

TEST_CASE_TEMPLATE("an extent outlives its lease only by another one", Stored, InMemory, OnDisk) {
    Stored store;
    const TwoObjects two;
    two.put_into(*store);
    const core::Identity first = new_identity();
    const core::Identity second = new_identity();
    REQUIRE(store->put_lease(make_lease(first, two.root_1, 1, start + day)));
    REQUIRE(store->put_lease(make_lease(second, two.root_1, 1, start + 2 * day)));
    REQUIRE(store->collect(start + day));
    CHECK(store->has_extent(two.own_1.hash));
    REQUIRE(store->collect(start + 2 * day - std::chrono::milliseconds(1)));
    CHECK(store->has_extent(two.own_1.hash));
    const ByteCount freed = store->collect(start + 2 * day).value();
    CHECK(freed.value > 2'048);
    CHECK_FALSE(store->has_extent(two.own_1.hash));
    CHECK(store->usage().objects == 0);
}

TEST_CASE_TEMPLATE("a withdrawal ends its publisher's lease and no other", Stored, InMemory,
                   OnDisk) {
    Stored store;
    const TwoObjects two;
    two.put_into(*store);
    const core::Identity first = new_identity();
    const core::Identity second = new_identity();
    const auto lease = make_lease(first, two.root_1, 5, start + day);
    REQUIRE(store->put_lease(lease) == true);
    REQUIRE(store->put_lease(make_lease(second, two.root_1, 1, start + day)) == true);
    REQUIRE(store->put_lease(withdrawal_of(lease, first, 6)) == true);
    REQUIRE(store->collect(start));
    CHECK(store->has_extent(two.own_1.hash));
    REQUIRE(
        store->put_lease(withdrawal_of(make_lease(second, two.root_1, 1, start + day), second, 2)));
    REQUIRE(store->collect(start));
    CHECK_FALSE(store->has_extent(two.own_1.hash));
}

TEST_CASE_TEMPLATE("an older or equal sequence does not bring a withdrawn lease back", Stored,
                   InMemory, OnDisk) {
    Stored store;
    const auto root = make_id<RootHash>(7);
    const core::Identity publisher = new_identity();
    const auto lease = make_lease(publisher, root, 5, start + day);
    REQUIRE(store->put_lease(lease) == true);
    CHECK(store->put_lease(lease) == false);
    // A withdrawal that claims to end sooner is remembered as long as the lease would have lived.
    auto withdrawal = withdrawal_of(lease, publisher, 6);
    withdrawal.expires = start;
    withdrawal.sign(publisher);
    REQUIRE(store->put_lease(withdrawal) == true);
    CHECK(store->put_lease(lease) == false);
    CHECK(store->put_lease(make_lease(publisher, root, 6, start + day)) == false);
    REQUIRE(store->collect(start + day));
    CHECK(store->put_lease(lease) == false);
    CHECK(store->leases(root) == std::vector{withdrawal});
    REQUIRE(store->collect(start + day + limits::lease_clock_tolerance));
    CHECK(store->leases(root).empty());

    CHECK(store->put_lease(make_lease(publisher, root, 7, start + 3 * day)) == true);
    CHECK(store->put_lease(make_lease(publisher, root, 9, start + 3 * day)) == true);
    REQUIRE(store->leases(root).size() == 1);
    CHECK(store->leases(root)[0].sequence == 9);
}

TEST_CASE_TEMPLATE("an object known by its lease alone is kept while leased", Stored, InMemory,
                   OnDisk) {
    Stored store;
    const TwoObjects two;
    const core::Identity publisher = new_identity();
    REQUIRE(store->put_lease(make_lease(publisher, two.root_1, 1, start + day)));
    REQUIRE(store->put_object(two.root_1, two.object_1, ""));
    REQUIRE(store->collect(start));
    CHECK(store->object(two.root_1));
    REQUIRE(store->collect(start + day));
    CHECK_FALSE(store->object(two.root_1));
}

TEST_CASE_TEMPLATE("leases of one root are bounded", Stored, InMemory, OnDisk) {
    Stored store;
    const auto root = make_id<RootHash>(8);
    std::vector<core::Identity> publishers;
    for (unsigned i = 0; i <= 20; ++i)
        publishers.push_back(new_identity());
    for (const auto& publisher : publishers)
        REQUIRE(store->put_lease(make_lease(publisher, root, 1, start + day)) == true);
    const auto leases = store->leases(root);
    CHECK(leases.size() == publishers.size());
    CHECK(std::ranges::is_sorted(leases, {}, &proto::Lease::publisher));
}

TEST_CASE("the lease that passes the bound of a root is refused, a renewal is not") {
    InMemory store;
    const auto root = make_id<RootHash>(8);
    proto::Lease lease;
    lease.root = root;
    lease.expires = start;
    lease.sequence = 1;
    for (unsigned i = 0; i < limits::leases_per_root_max; ++i) {
        lease.publisher = make_id<PublicKey>(i);
        REQUIRE(store->put_lease(lease) == true);
    }
    lease.sequence = 2;
    CHECK(store->put_lease(lease) == true);
    lease.publisher = make_id<PublicKey>(limits::leases_per_root_max);
    CHECK(code_of(store->put_lease(lease)) == Errc::refused);
}

TEST_CASE_TEMPLATE("collect forgets the holders of what it removes", Stored, InMemory, OnDisk) {
    Stored store;
    const TwoObjects two;
    two.put_into(*store);
    const std::vector<proto::ItemId> items = {proto::ItemId::of(two.own_1.hash),
                                              proto::ItemId::of(two.root_1),
                                              proto::ItemId::of(two.own_2.hash)};
    for (const auto& item : items)
        REQUIRE(store->add_holders({{item, make_id<NodeId>(1)}}));
    REQUIRE(store->set_pinned(two.root_2, true));
    REQUIRE(store->collect(start));
    CHECK(store->holders(items).size() == 2);
    REQUIRE(store->set_pinned(two.root_2, false));
    REQUIRE(store->collect(start));
    CHECK(store->holders(items).empty());
    CHECK(store->usage().used == ByteCount(0));
}

TEST_CASE_TEMPLATE("an extent is dropped though it is leased, but not when it is marked here",
                   Stored, InMemory, OnDisk) {
    Stored store;
    const TwoObjects two;
    two.put_into(*store);
    const auto publisher = new_identity();
    REQUIRE(store->put_lease(make_lease(publisher, two.root_1, 1, start + std::chrono::hours(1))));
    const auto item = proto::ItemId::of(two.own_1.hash);
    REQUIRE(store->add_holders({{item, make_id<NodeId>(1)}}));
    const auto used = store->usage().used;
    const auto share = store->used_by(publisher.public_key(), start);
    CHECK(*store->drop_extent(make_id<ExtentHash>(77)) == ByteCount(0));

    SUBCASE("published") {
        REQUIRE(store->set_published(two.root_1, true));
        CHECK(*store->drop_extent(two.own_1.hash) == ByteCount(0));
        CHECK(store->has_extent(two.own_1.hash));
        CHECK(store->usage().used == used);
    }
    SUBCASE("pinned") {
        REQUIRE(store->set_pinned(two.root_1, true));
        CHECK(*store->drop_extent(two.own_1.hash) == ByteCount(0));
        CHECK(store->has_extent(two.own_1.hash));
    }
    SUBCASE("leased") {
        const auto freed = store->drop_extent(two.own_1.hash);
        REQUIRE(freed);
        CHECK(freed->value > 0);
        CHECK_FALSE(store->has_extent(two.own_1.hash));
        CHECK(code_of(store->read(two.own_1.hash, {ChunkIndex(0), ChunkIndex(1)})) ==
              Errc::not_found);
        CHECK(store->holders({item}).empty());
        CHECK(store->usage().used == used - *freed);
        CHECK(store->used_by(publisher.public_key(), start) < share);
        CHECK(store->has_extent(two.own_2.hash));
        CHECK(store->descriptor(two.root_1));
        // And may come again.
        REQUIRE(store->put_extents(one(make_extent(1, 1'024))));
        CHECK(store->has_extent(two.own_1.hash));
        CHECK(store->used_by(publisher.public_key(), start) == share);
    }
}

}  // namespace
}  // namespace flow29::store::test
