// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>

#include "store/sqlite.hpp"
#include "support.hpp"

namespace flow29::store::test {
namespace {

using proto::ItemId;

ItemId extent_item(std::uint64_t seed) {
    return ItemId::of(make_id<ExtentHash>(seed));
}

proto::NodeRecord make_record(const core::Identity& node, std::uint64_t sequence) {
    proto::NodeRecord record;
    record.sequence = sequence;
    record.sign(node);
    return record;
}

TEST_CASE_TEMPLATE("holders are remembered per item, once each", Stored, InMemory, OnDisk) {
    Stored store;
    const auto node_1 = make_id<NodeId>(1);
    const auto node_2 = make_id<NodeId>(2);
    const auto same_hash = ItemId::of(RootHash{make_id<ExtentHash>(1).bytes});
    REQUIRE(store->add_holders({{extent_item(1), node_1},
                                {extent_item(1), node_2},
                                {extent_item(1), node_1},
                                {extent_item(2), node_2},
                                {same_hash, node_1}}));
    REQUIRE(store->add_holders({{extent_item(2), node_2}}));
    REQUIRE(store->add_holders({}));
    CHECK(store->holders({extent_item(1)}).size() == 2);
    CHECK(store->holders({same_hash}).size() == 1);
    const auto found = store->holders({extent_item(2), extent_item(3), extent_item(1)});
    REQUIRE(found.size() == 3);
    CHECK(found[0].item == extent_item(2));
    CHECK(found[0].node == node_2);
    CHECK(found[1].item == extent_item(1));

    REQUIRE(store->remove_holders({{extent_item(1), node_1}}));
    REQUIRE(store->remove_holders({{extent_item(1), node_1}, {extent_item(9), node_1}}));
    REQUIRE(store->remove_holders({}));
    const auto left = store->holders({extent_item(1)});
    REQUIRE(left.size() == 1);
    CHECK(left[0].node == node_2);
}

TEST_CASE_TEMPLATE("holders of one item are bounded", Stored, InMemory, OnDisk) {
    Stored store;
    std::vector<KnownHolder> many;
    for (std::uint64_t i = 0; i < limits::holders_per_item_max + 10; ++i)
        many.push_back({extent_item(1), make_id<NodeId>(i)});
    REQUIRE(store->add_holders(many));
    CHECK(store->holders({extent_item(1)}).size() == limits::holders_per_item_max);
    const ByteCount used = store->usage().used;
    REQUIRE(store->add_holders(many));
    CHECK(store->usage().used == used);
}

TEST_CASE_TEMPLATE("the newest record of a node is kept and counts as seen last", Stored, InMemory,
                   OnDisk) {
    Stored store;
    const core::Identity a = new_identity();
    const core::Identity b = new_identity();
    const core::Identity c = new_identity();
    for (const core::Identity* node : {&a, &b, &c})
        REQUIRE(store->put_node_record(make_record(*node, 10)));
    const auto newer = make_record(a, 11);
    REQUIRE(store->put_node_record(newer));
    REQUIRE(store->put_node_record(make_record(b, 9)));
    CHECK(store->node_record(a.id()) == newer);
    CHECK(store->node_record(b.id())->sequence == 10);
    CHECK_FALSE(store->node_record(make_id<NodeId>(5)));

    const auto all = store->node_records(10);
    REQUIRE(all.size() == 3);
    CHECK(all[0] == newer);
    CHECK(all[1].node() == c.id());
    CHECK(all[2].node() == b.id());
    CHECK(store->node_records(1).size() == 1);
    CHECK(store->node_records(0).empty());
}

TEST_CASE("a node that was met in another swarm is not given") {
    const TemporaryDirectory directory;
    const fs::path path = directory.path() / "data";
    const core::SwarmName name = core::name_of_swarm(core::new_swarm_key());
    const core::Identity a = new_identity();
    const core::Identity b = new_identity();
    const auto open = [&](const core::SwarmName& swarm) {
        auto opened = open_disk_store({path, default_capacity, swarm});
        REQUIRE(opened);
        return std::move(*opened);
    };
    REQUIRE(open({})->put_node_record(make_record(a, 10)));
    {
        const auto store = open(name);
        CHECK(store->node_records(10).empty());
        CHECK_FALSE(store->node_record(a.id()));
        REQUIRE(store->put_node_record(make_record(b, 10)));
        CHECK(store->node_records(10).size() == 1);
    }
    {
        const auto store = open({});
        REQUIRE(store->node_records(10).size() == 1);
        CHECK(store->node_record(a.id()));
        CHECK_FALSE(store->node_record(b.id()));
        // It moved here, with a clock that runs behind.
        REQUIRE(store->put_node_record(make_record(b, 9)));
        CHECK(store->node_record(b.id())->sequence == 9);
    }
    CHECK(open(name)->node_records(10).empty());
}

TEST_CASE("nodes from before it was noted where they were met are given in any swarm") {
    const TemporaryDirectory directory;
    const fs::path path = directory.path() / "data";
    const core::Identity a = new_identity();
    {
        auto store = open_disk_store({path, default_capacity});
        REQUIRE(store);
        REQUIRE((*store)->put_node_record(make_record(a, 10)));
    }
    {
        auto database = Database::open(path / "catalogue.db");
        REQUIRE(database);
        REQUIRE(database->execute("UPDATE node_records SET swarm = x''"));
    }
    auto store =
        open_disk_store({path, default_capacity, core::name_of_swarm(core::new_swarm_key())});
    REQUIRE(store);
    CHECK((*store)->node_record(a.id()));
    CHECK((*store)->node_records(10).size() == 1);
}

TEST_CASE("the least recently seen node is forgotten past the bound") {
    InMemory store;
    proto::NodeRecord record;
    for (std::uint64_t i = 0; i <= limits::node_records_max; ++i) {
        record.key = make_id<PublicKey>(i);
        REQUIRE(store->put_node_record(record));
    }
    CHECK(store->node_records(limits::node_records_max + 10).size() == limits::node_records_max);
    record.key = make_id<PublicKey>(0);
    CHECK_FALSE(store->node_record(record.node()));
    record.key = make_id<PublicKey>(1);
    CHECK(store->node_record(record.node()));
}

TEST_CASE_TEMPLATE("fetch progress is per object and output", Stored, InMemory, OnDisk) {
    Stored store;
    const auto root = make_id<RootHash>(1);
    const fs::path partial = "/tmp/a \xff.part";
    CHECK(store->fetch_progress(root, partial).empty());
    core::RangeSet verified;
    verified.insert(0, 1024);
    verified.insert(4096, ~std::uint64_t{0} - 1);
    REQUIRE(store->set_fetch_progress(root, partial, verified));
    CHECK(store->fetch_progress(root, partial) == verified);
    CHECK(store->fetch_progress(root, "/tmp/b").empty());
    CHECK(store->fetch_progress(make_id<RootHash>(2), partial).empty());
    verified.insert(1024, 4096);
    REQUIRE(store->set_fetch_progress(root, partial, verified));
    CHECK(store->fetch_progress(root, partial) == verified);
    REQUIRE(store->set_fetch_progress(root, partial, {}));
    CHECK(store->fetch_progress(root, partial).empty());
    REQUIRE(store->end_fetch(root, partial));
    REQUIRE(store->end_fetch(root, partial));
    CHECK(store->usage().used == ByteCount(0));
}

TEST_CASE_TEMPLATE("settings are replaced", Stored, InMemory, OnDisk) {
    Stored store;
    CHECK_FALSE(store->setting("a"));
    REQUIRE(store->set_setting("a", Bytes{1, 2, 0, 3}));
    REQUIRE(store->set_setting("b", Bytes{}));
    CHECK(store->setting("a") == Bytes{1, 2, 0, 3});
    CHECK(store->setting("b") == Bytes{});
    const ByteCount used = store->usage().used;
    REQUIRE(store->set_setting("a", Bytes{9}));
    CHECK(store->setting("a") == Bytes{9});
    CHECK(store->usage().used + ByteCount(3) == used);
}

}  // namespace
}  // namespace flow29::store::test
