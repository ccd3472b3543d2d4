// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>

#include "store/cost.hpp"
#include "store/schema.hpp"
#include "store/shares.hpp"
#include "store/sqlite.hpp"
#include "support.hpp"

#include <random>

// Who occupies how much, and what else leases ask of a store.

namespace flow29::store::test {
namespace {

constexpr WallTime start{std::chrono::hours(24 * 365 * 50)};
constexpr auto hour = std::chrono::hours(1);
constexpr std::uint64_t bytes = 1'024;

core::AddressGroup group(std::uint8_t number) {
    core::AddressGroup group;
    group.bytes[0] = number;
    return group;
}

/// An object of extents named by their seeds.
core::Descriptor object_with(const std::vector<std::uint64_t>& seeds) {
    std::vector<ExtentHash> hashes;
    for (const auto seed : seeds)
        hashes.push_back(make_extent(seed, bytes).hash);
    return object_of(std::move(hashes), 1, bytes);
}

ByteCount cost_of(const core::Descriptor& object) {
    return cost::of_object(object.encode().size(), object.extents.size(), 0);
}
const ByteCount extent_cost = cost::of_extent(ByteCount(bytes));
const ByteCount lease_cost{cost::lease_row};

TEST_CASE("of any number of parties so many sums are kept") {
    Shares shares;
    const Shares::Share share{ByteCount(1), start, start + hour};
    const auto party = [](std::size_t number) { return Party(std::to_string(number)); };
    for (std::size_t i = 0; i < limits::shares_max; ++i)
        shares.put(party(i), share);
    shares.put(party(1), share);  // known
    CHECK(shares.find(party(0), start) == ByteCount(1));
    shares.put(party(limits::shares_max), share);
    CHECK(shares.find(party(limits::shares_max), start) == ByteCount(1));
    // All others are made anew when they are asked for.
    for (std::size_t i = 0; i < limits::shares_max; ++i)
        CHECK_FALSE(shares.find(party(i), start).has_value());
}

TEST_CASE_TEMPLATE("a publisher is charged for what its live leases keep, each extent once", Stored,
                   InMemory, OnDisk) {
    Stored store;
    const auto publisher = new_identity();
    const auto other = new_identity();
    const auto& key = publisher.public_key();
    const auto one_object = object_with({1, 2});
    const auto another = object_with({2, 3});
    CHECK(store->used_by(key, start) == ByteCount(0));

    const auto lease = make_lease(publisher, one_object.root(), 1, start + hour);
    REQUIRE(store->put_lease(lease));
    REQUIRE(store->put_object(one_object.root(), one_object, ""));
    REQUIRE(store->put_extents(one(make_extent(1, bytes))));
    REQUIRE(store->put_extents(one(make_extent(2, bytes))));
    const auto first = lease_cost + cost_of(one_object) + extent_cost + extent_cost;
    CHECK(store->used_by(key, start) == first);

    REQUIRE(store->put_lease(make_lease(publisher, another.root(), 1, start + 2 * hour)));
    REQUIRE(store->put_object(another.root(), another, ""));
    REQUIRE(store->put_extents(one(make_extent(3, bytes))));
    const auto both = first + lease_cost + cost_of(another) + extent_cost;
    CHECK(store->used_by(key, start) == both);

    SUBCASE("an extent under two publishers counts for both") {
        REQUIRE(store->put_lease(make_lease(other, one_object.root(), 1, start + hour)));
        CHECK(store->used_by(key, start) == both);
        CHECK(store->used_by(other.public_key(), start) == first);
    }
    SUBCASE("a lease that ends is charged no more") {
        CHECK(store->used_by(key, start + hour) ==
              lease_cost + cost_of(another) + extent_cost + extent_cost);
        CHECK(store->used_by(key, start + 2 * hour) == ByteCount(0));
    }
    SUBCASE("nor is one that is withdrawn") {
        REQUIRE(store->put_lease(withdrawal_of(lease, publisher, 2)));
        CHECK(store->used_by(key, start) ==
              lease_cost + cost_of(another) + extent_cost + extent_cost);
    }
    SUBCASE("nor what is released") {
        REQUIRE(store->set_pinned(one_object.root(), true));
        REQUIRE(store->release(one_object.root()));
        CHECK_FALSE(store->object(one_object.root())->pinned);
        CHECK(store->used_by(key, start) ==
              lease_cost + cost_of(another) + extent_cost + extent_cost);
        REQUIRE(store->collect(start));
        CHECK_FALSE(store->has_extent(make_extent(1, bytes).hash));
        CHECK(store->has_extent(make_extent(2, bytes).hash));
        CHECK(store->leases(one_object.root()).empty());
    }
}

TEST_CASE_TEMPLATE("who asked first is charged, until the lease is taken anew after its end",
                   Stored, InMemory, OnDisk) {
    Stored store;
    const auto publisher = new_identity();
    const auto object = object_with({1});
    const auto root = object.root();
    CHECK(code_of(store->set_asker(root, publisher.public_key(), group(1))) == Errc::not_found);
    REQUIRE(store->put_lease(make_lease(publisher, root, 1, start + hour)));
    REQUIRE(store->set_asker(root, publisher.public_key(), group(1)));
    REQUIRE(store->set_asker(root, publisher.public_key(), group(2)));
    CHECK(store->used_by(group(1), start) == lease_cost);
    REQUIRE(store->put_object(root, object, ""));
    REQUIRE(store->put_extents(one(make_extent(1, bytes))));
    const auto all = lease_cost + cost_of(object) + extent_cost;
    CHECK(store->used_by(group(1), start) == all);
    CHECK(store->used_by(group(2), start) == ByteCount(0));

    const auto renewed = make_lease(publisher, root, 2, start + 2 * hour);
    REQUIRE(store->put_lease(renewed));
    CHECK(store->used_by(group(1), start + hour) == all);
    REQUIRE(store->put_lease(withdrawal_of(renewed, publisher, 3)));
    CHECK(store->used_by(group(1), start) == ByteCount(0));
    REQUIRE(store->put_lease(make_lease(publisher, root, 4, start + hour)));
    REQUIRE(store->set_asker(root, publisher.public_key(), group(2)));
    CHECK(store->used_by(group(1), start) == ByteCount(0));
    CHECK(store->used_by(group(2), start) == all);
}

TEST_CASE(
    "after whatever happened the shares are what a fresh start sums up, and what memory says") {
    std::mt19937_64 random(29);
    OnDisk disk;
    InMemory memory;
    std::vector<core::Identity> publishers;
    for (int i = 0; i < 3; ++i)
        publishers.push_back(new_identity());
    std::vector<core::Descriptor> objects;
    for (std::uint64_t i = 0; i < 8; ++i)
        objects.push_back(object_with({i, i + 1, 20 + i % 3}));
    WallTime now = start;
    std::uint64_t sequence = 1;
    const auto on_both = [&](const auto& operation) {
        operation(*disk);
        operation(*memory);
    };
    for (int step = 0; step < 600; ++step) {
        CAPTURE(step);
        const auto& object = objects[random() % objects.size()];
        const auto& publisher = publishers[random() % publishers.size()];
        const auto root = object.root();
        switch (random() % 8) {
            case 0:
            case 1: {
                auto lease =
                    make_lease(publisher, root, ++sequence, now + hour * (1 + random() % 9));
                if (random() % 4 == 0) lease = withdrawal_of(lease, publisher, ++sequence);
                on_both([&](Store& store) { (void)store.put_lease(lease); });
                break;
            }
            case 2: {
                const auto asker = group(static_cast<std::uint8_t>(1 + random() % 2));
                on_both([&](Store& store) {
                    (void)store.set_asker(root, publisher.public_key(), asker);
                });
                break;
            }
            case 3:
                on_both([&](Store& store) { REQUIRE(store.put_object(root, object, "")); });
                break;
            case 4:
            case 5: {
                const auto seed = random() % 9;
                on_both([&](Store& store) {
                    REQUIRE(store.put_extents(one(make_extent(seed, bytes))));
                });
                break;
            }
            case 6:
                now += hour * (random() % 3);
                if (random() % 2 == 0) on_both([&](Store& store) { REQUIRE(store.collect(now)); });
                break;
            case 7:
                if (random() % 4 == 0) on_both([&](Store& store) { REQUIRE(store.release(root)); });
                break;
        }
        for (const auto& each : publishers)
            REQUIRE(disk->used_by(each.public_key(), now) ==
                    memory->used_by(each.public_key(), now));
        for (std::uint8_t number = 1; number <= 2; ++number)
            REQUIRE(disk->used_by(group(number), now) == memory->used_by(group(number), now));
        REQUIRE(disk->usage().used == memory->usage().used);
    }
    disk.reopen();
    for (const auto& each : publishers)
        CHECK(disk->used_by(each.public_key(), now) == memory->used_by(each.public_key(), now));
}

TEST_CASE_TEMPLATE("what an invitation reserves is enough for all that keeping it takes", Stored,
                   InMemory, OnDisk) {
    for (const std::size_t size : {1UL, 512UL, 1'024UL, 70'000UL}) {
        CAPTURE(size);
        Stored store;
        std::vector<proto::Invite::Item> items;
        std::vector<ExtentHash> hashes;
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            hashes.push_back(make_extent(seed, size).hash);
            items.push_back({proto::ItemId::of(hashes.back()), ByteCount(size)});
        }
        unsigned level = 0;
        while ((limits::chunk_bytes << level) < size)
            ++level;
        const auto object = object_of(hashes, level, size);
        items.push_back({proto::ItemId::of(object.root()), ByteCount(object.encode().size())});
        auto room = store->reserve_for(items);
        REQUIRE(room);
        const auto reserved = store->usage().reserved;
        const auto publisher = new_identity();
        REQUIRE(store->put_lease(make_lease(publisher, object.root(), 1, start)));
        REQUIRE(store->put_object(object.root(), object, ""));
        std::vector<NewExtent> extents;
        for (std::uint64_t seed = 0; seed < 20; ++seed)
            extents.push_back(make_extent(seed, size));
        REQUIRE(store->put_extents(std::move(extents), room->get()));
        std::vector<KnownHolder> marks;
        for (const auto& [item, length] : items)
            marks.push_back({item, make_id<NodeId>(1)});
        REQUIRE(store->add_holders(marks));
        CHECK(store->usage().used <= reserved);
    }
    Stored small(ByteCount(1 << 20));
    CHECK(code_of(small->reserve_for({{proto::ItemId::of(make_id<ExtentHash>(1)),
                                       ByteCount(1 << 20)}})) == Errc::no_space);
}

TEST_CASE_TEMPLATE("how long a lease is renewed for is kept", Stored, InMemory, OnDisk) {
    Stored store;
    const auto object = object_with({1});
    CHECK(code_of(store->set_renewal(object.root(), hour)) == Errc::not_found);
    REQUIRE(store->put_object(object.root(), object, ""));
    CHECK(store->object(object.root())->renewal.count() == 0);
    REQUIRE(store->set_renewal(object.root(), hour));
    if constexpr (std::is_same_v<Stored, OnDisk>) store.reopen();
    CHECK(store->object(object.root())->renewal == hour);
    CHECK(store->objects().front().renewal == hour);
}

TEST_CASE("a catalogue of version 1 goes on, and what it published without an end is renewed") {
    OnDisk store;
    store.close();
    const auto publisher = new_identity();
    const auto forever = object_with({1});
    const auto for_a_day = object_with({2});
    std::filesystem::remove(store.path() / "catalogue.db");
    {
        auto database = Database::open(store.path() / "catalogue.db");
        REQUIRE(database);
        REQUIRE(migrate(*database, schema_steps().first(1)));
        for (const auto* object : {&forever, &for_a_day}) {
            const auto encoded = object->encode();
            REQUIRE(database
                        ->query("INSERT INTO objects (root, name, published, added, cost) "
                                "VALUES (?1, 'old', 1, ?2, 700)",
                                object->root(), start)
                        .run());
            REQUIRE(database
                        ->query("INSERT INTO descriptors (object, encoded) VALUES (?1, ?2)",
                                database->last_row_id(), encoded)
                        .run());
            const auto life = object == &forever ? 24 * 365 * hour : 24 * hour;
            const auto lease = make_lease(publisher, object->root(), 1, start + life);
            REQUIRE(database
                        ->query("INSERT INTO leases (root, publisher, withdrawn, expires, "
                                "remembered_until, encoded) VALUES (?1, ?2, 0, ?3, ?3, ?4)",
                                lease.root, lease.publisher, lease.expires, lease.encode())
                        .run());
        }
    }
    store.open();
    CHECK(store->object(forever.root())->renewal == 24 * 365 * hour);
    CHECK(store->object(for_a_day.root())->renewal.count() == 0);
    CHECK(store->object(for_a_day.root())->published);
    REQUIRE(store->set_asker(forever.root(), publisher.public_key(), group(7)));
    store.reopen();
    CHECK(store->used_by(group(7), start).value > 0);
}

}  // namespace
}  // namespace flow29::store::test
