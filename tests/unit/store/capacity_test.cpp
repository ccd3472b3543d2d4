// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/cost.hpp"
#include "store/ledger.hpp"
#include "support.hpp"

namespace flow29::store::test {
namespace {

constexpr ByteCount mebibyte{1024 * 1024};

TEST_CASE_TEMPLATE("extents that do not fit are refused and leave nothing", Stored, InMemory,
                   OnDisk) {
    Stored store(mebibyte);
    std::vector<NewExtent> batch;
    for (std::uint64_t seed = 0; seed < 20; ++seed)
        batch.push_back(make_extent(seed, 60'000));
    CHECK(code_of(store->put_extents(std::move(batch))) == Errc::no_space);
    CHECK(store->usage().used == ByteCount(0));
    CHECK_FALSE(store->has_extent(make_extent(0, 60'000).hash));

    CHECK(code_of(store->put_extents(one(make_extent(0, 1024 * 1024)))) == Errc::no_space);
    CHECK(store->put_extents(one(make_extent(0, 940'000))));
    CHECK(code_of(store->put_extents(one(make_extent(1, 100'000)))) == Errc::no_space);
    CHECK(store->put_extents(one(make_extent(2, 50'000))));
}

TEST_CASE_TEMPLATE("what is reserved is there for its holder and for nobody else", Stored, InMemory,
                   OnDisk) {
    Stored store(mebibyte);
    auto room = store->reserve(ByteCount(900'000));
    REQUIRE(room);
    CHECK(store->usage().reserved >= ByteCount(900'000));
    CHECK(code_of(store->reserve(ByteCount(200'000))) == Errc::no_space);
    CHECK(code_of(store->put_extents(one(make_extent(1, 200'000)))) == Errc::no_space);
    CHECK(store->put_extents(one(make_extent(2, 400'000)), room->get()));
    CHECK(store->put_extents(one(make_extent(3, 400'000)), room->get()));
    CHECK(store->usage().used + store->usage().reserved <= mebibyte);
    CHECK(code_of(store->put_extents(one(make_extent(4, 250'000)), room->get())) == Errc::no_space);

    const ByteCount used = store->usage().used;
    room->reset();
    CHECK(store->usage().reserved == ByteCount(0));
    CHECK(store->usage().used == used);
    CHECK(store->put_extents(one(make_extent(5, 200'000))));
}

TEST_CASE_TEMPLATE("a reservation of bytes suffices for usual extents of that size", Stored,
                   InMemory, OnDisk) {
    Stored store(ByteCount(16 * 1024 * 1024));
    constexpr std::size_t size = 1024 * 1024;
    auto room = store->reserve(ByteCount(4 * size));
    REQUIRE(room);
    const ByteCount together = store->usage().reserved;
    for (std::uint64_t seed = 0; seed < 4; ++seed)
        REQUIRE(store->put_extents(one(make_extent(seed, size)), room->get()));
    CHECK(store->usage().used + store->usage().reserved == together);
}

TEST_CASE_TEMPLATE("absurd reservations are refused, not overflowed", Stored, InMemory, OnDisk) {
    Stored store(mebibyte);
    for (const std::uint64_t bytes : {1ULL << 20, 1ULL << 62, ~0ULL, ~0ULL - 1000})
        CHECK(code_of(store->reserve(ByteCount(bytes))) == Errc::no_space);
    CHECK(store->reserve(ByteCount(0)));
}

TEST_CASE_TEMPLATE("a reservation may outlive its store", Stored, InMemory, OnDisk) {
    std::unique_ptr<Reservation> room;
    {
        Stored store(mebibyte);
        auto reserved = store->reserve(ByteCount(1000));
        REQUIRE(reserved);
        room = std::move(*reserved);
    }
    room.reset();
}

TEST_CASE_TEMPLATE("a store full of content still takes bookkeeping", Stored, InMemory, OnDisk) {
    Stored store(mebibyte);
    std::uint64_t seed = 0;
    while (store->put_extents(one(make_extent(seed, 5'000))))
        ++seed;
    CHECK(seed > 150);
    CHECK(store->set_setting("neighbours", content(1, 2'000).view()));
    const core::Identity publisher = new_identity();
    CHECK(store->put_lease(make_lease(publisher, make_id<RootHash>(1), 1, WallTime::max())));
    CHECK(store->usage().used <= mebibyte);
    // That is bounded too.
    CHECK(code_of(store->set_setting("k", content(1, 20'000).view())) == Errc::no_space);
    CHECK_FALSE(store->setting("k"));
}

TEST_CASE_TEMPLATE("small things count", Stored, InMemory, OnDisk) {
    Stored store;
    ByteCount before;
    const auto check_grown = [&](std::uint64_t least) {
        CHECK(store->usage().used.value >= before.value + least);
        before = store->usage().used;
    };
    const NewExtent extent = make_extent(1, 3'000);
    const auto descriptor = object_of({extent.hash}, 11, 3'000);
    REQUIRE(store->put_object(descriptor.root(), descriptor, "name"));
    check_grown(descriptor.encode().size() + 4);
    REQUIRE(store->put_lease(
        make_lease(new_identity(), descriptor.root(), 1, WallTime(std::chrono::hours(1)))));
    check_grown(200);
    REQUIRE(store->add_holders({{proto::ItemId::of(extent.hash), make_id<NodeId>(1)}}));
    check_grown(65);
    core::RangeSet verified;
    verified.insert(0, 512);
    REQUIRE(store->set_fetch_progress(descriptor.root(), "/tmp/x.part", verified));
    check_grown(32 + 11 + 16);
    REQUIRE(store->set_setting("key", content(1, 1'000).view()));
    check_grown(1'003);
    proto::NodeRecord record;
    record.sign(new_identity());
    REQUIRE(store->put_node_record(record));
    check_grown(100);

    // And everything comes back.
    REQUIRE(store->end_fetch(descriptor.root(), "/tmp/x.part"));
    REQUIRE(store->remove_holders({{proto::ItemId::of(extent.hash), make_id<NodeId>(1)}}));
    REQUIRE(store->collect(WallTime(std::chrono::hours(2))));
    const ByteCount left = store->usage().used;
    CHECK(left ==
          ByteCount(cost::node_record_row + record.encode().size()) + cost::of_setting(3, 1'000));
}

TEST_CASE_TEMPLATE("the capacity holds under random operations", Stored, InMemory, OnDisk) {
    constexpr ByteCount capacity{2 * 1024 * 1024};
    Stored store(capacity);
    std::mt19937_64 random(2929);
    std::vector<std::unique_ptr<Reservation>> rooms;
    const core::Identity publisher = new_identity();
    std::uint64_t sequence = 0;
    unsigned refused = 0;
    for (int i = 0; i < 400; ++i) {
        const std::size_t size = 1 + random() % (random() % 3 == 0 ? 300'000 : 20'000);
        const std::uint64_t seed = random() % 60;
        const NewExtent extent = make_extent(seed, size);
        const auto descriptor = object_of({extent.hash}, 11, size);
        switch (random() % 8) {
            case 0:
            case 1: {
                Reservation* room = rooms.empty() ? nullptr : rooms[random() % rooms.size()].get();
                if (!store->put_extents(one(make_extent(seed, size)), room)) ++refused;
                break;
            }
            case 2:
                if (!store->put_extents(one(make_extent(seed, size)))) ++refused;
                break;
            case 3:
                if (auto room = store->reserve(ByteCount(size)))
                    rooms.push_back(std::move(*room));
                else
                    ++refused;
                break;
            case 4:
                if (rooms.size() > 3) rooms.erase(rooms.begin());
                break;
            case 5:
                if (!store->put_object(descriptor.root(), descriptor, "n")) ++refused;
                break;
            case 6:
                (void)store->put_lease(make_lease(publisher, descriptor.root(), ++sequence,
                                                  WallTime(std::chrono::minutes(i))));
                break;
            default:
                if (random() % 8 == 0) {
                    const ByteCount before = store->usage().used;
                    const auto freed = store->collect(WallTime(std::chrono::minutes(i)));
                    REQUIRE(freed);
                    REQUIRE(store->usage().used + *freed == before);
                }
        }
        const Usage usage = store->usage();
        REQUIRE(usage.used + usage.reserved <= capacity);
    }
    CHECK(refused > 0);
    rooms.clear();
    REQUIRE(store->collect(WallTime::max()));
    CHECK(store->usage().used == ByteCount(0));
    CHECK(store->usage().reserved == ByteCount(0));
    CHECK(store->usage().objects == 0);
    CHECK(store->usage().extents == 0);
}

TEST_CASE("a charge that is not kept goes back where it came from") {
    const auto ledger = std::make_shared<Ledger>(ByteCount(6'400));
    const auto room = ledger->reserve(ByteCount(1'000));
    REQUIRE(room);
    {
        auto charge = ledger->charge(ByteCount(1'500), Purpose::content, room->get());
        REQUIRE(charge);
        CHECK(ledger->usage().used == ByteCount(1'500));
        CHECK(ledger->usage().reserved == ByteCount(0));
    }
    CHECK(ledger->usage().used == ByteCount(0));
    CHECK(ledger->usage().reserved == ByteCount(1'000));
    auto charge = ledger->charge(ByteCount(1'500), Purpose::content, room->get());
    REQUIRE(charge);
    charge->keep(ByteCount(700));
    CHECK(ledger->usage().used == ByteCount(700));
    CHECK(ledger->usage().reserved == ByteCount(800));
}

TEST_CASE("content leaves a part of the capacity to bookkeeping") {
    const auto ledger = std::make_shared<Ledger>(ByteCount(6'400));
    CHECK_FALSE(ledger->charge(ByteCount(6'301), Purpose::content));
    CHECK(ledger->charge(ByteCount(6'300), Purpose::content));
    CHECK(ledger->charge(ByteCount(6'400), Purpose::bookkeeping));
    CHECK_FALSE(ledger->charge(ByteCount(6'401), Purpose::bookkeeping));
}

TEST_CASE("what shrinks comes free when kept and fits a full ledger") {
    const auto ledger = std::make_shared<Ledger>(ByteCount(6'400));
    ledger->start_with(ByteCount(7'000), 0, 0);
    CHECK_FALSE(ledger->charge_change(ByteCount(10), ByteCount(11), Purpose::bookkeeping));
    auto charge = ledger->charge_change(ByteCount(100), ByteCount(40), Purpose::content);
    REQUIRE(charge);
    CHECK(ledger->usage().used == ByteCount(7'000));
    charge->keep();
    CHECK(ledger->usage().used == ByteCount(6'940));
}

}  // namespace
}  // namespace flow29::store::test
