// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/schema.hpp"
#include "support.hpp"

#include <array>
#include <fstream>

namespace flow29::store::test {
namespace {

Database open_new(const fs::path& path) {
    auto database = Database::open(path);
    REQUIRE(database);
    return std::move(*database);
}

TEST_CASE("migrations run from the version a file has, each once") {
    const TemporaryDirectory directory;
    const fs::path path = directory.path() / "db";
    constexpr std::array steps = {"CREATE TABLE a (x INTEGER)",
                                  "ALTER TABLE a ADD COLUMN y INTEGER",
                                  "INSERT INTO a (x, y) VALUES (1, 2)"};
    {
        Database database = open_new(path);
        REQUIRE(migrate(database, std::span(steps).first(1)));
        CHECK(database.integer("PRAGMA user_version") == 1);
        REQUIRE(database.execute("INSERT INTO a (x) VALUES (7)"));
    }
    Database database = open_new(path);
    REQUIRE(migrate(database, steps));
    REQUIRE(migrate(database, steps));
    CHECK(database.integer("PRAGMA user_version") == 3);
    CHECK(database.integer("SELECT count(*) FROM a") == 2);
    CHECK(database.integer("SELECT x FROM a WHERE y IS NULL") == 7);
}

TEST_CASE("what an older version noted is there after the migration") {
    OnDisk store;
    const auto root = make_id<RootHash>(1);
    core::RangeSet verified;
    verified.insert(0, 512);
    REQUIRE(store->set_fetch_progress(root, "part", verified));
    REQUIRE(store->set_setting("limit", Bytes{1, 2}));
    store.close();
    {
        Database database = open_new(store.path() / "catalogue.db");
        REQUIRE(
            database.execute("ALTER TABLE fetches DROP COLUMN checksum;"
                             "ALTER TABLE settings DROP COLUMN checksum;"
                             "ALTER TABLE node_records DROP COLUMN swarm;"
                             "PRAGMA user_version = 2"));
    }
    store.open();
    CHECK(store->fetch_progress(root, "part") == verified);
    CHECK(store->setting("limit") == Bytes{1, 2});
}

TEST_CASE("a migration that fails changes nothing of its step") {
    const TemporaryDirectory directory;
    Database database = open_new(directory.path() / "db");
    constexpr std::array steps = {"CREATE TABLE a (x INTEGER)",
                                  "CREATE TABLE b (x INTEGER); CREATE TABLE a (x INTEGER)"};
    CHECK_FALSE(migrate(database, steps));
    CHECK(database.integer("PRAGMA user_version") == 1);
    CHECK(database.integer("SELECT count(*) FROM sqlite_schema") == 1);
}

TEST_CASE("a catalogue of a later version is refused") {
    OnDisk store;
    store.close();
    {
        Database database = open_new(store.path() / "catalogue.db");
        const auto version = static_cast<std::int64_t>(schema_steps().size());
        CHECK(database.integer("PRAGMA user_version") == version);
        REQUIRE(
            database.execute("PRAGMA user_version = 1000;"
                             "UPDATE settings SET value = x'31303030', checksum = "
                             "crc32c(key, x'31303030') WHERE key = 'schema'"));
    }
    const auto later = open_disk_store({store.path(), default_capacity});
    REQUIRE(code_of(later) == Errc::corrupt_store);
    CHECK(later.error().context.find("1000") != std::string::npos);
    {
        Database database = open_new(store.path() / "catalogue.db");
        REQUIRE(database.execute(
            ("PRAGMA user_version = " + std::to_string(schema_steps().size())).c_str()));
    }
    store.open();
}

TEST_CASE("some other program's database is refused and not touched") {
    const TemporaryDirectory directory;
    {
        Database database = open_new(directory.path() / "catalogue.db");
        REQUIRE(database.execute("CREATE TABLE bookmarks (url TEXT)"));
    }
    CHECK(code_of(open_disk_store({directory.path(), default_capacity})) == Errc::corrupt_store);
    Database database = open_new(directory.path() / "catalogue.db");
    CHECK(database.integer("SELECT count(*) FROM sqlite_schema") == 1);
}

TEST_CASE("a damaged catalogue is set aside and made anew") {
    OnDisk store;
    std::vector<NewExtent> extents;
    for (std::uint64_t seed = 0; seed < 200; ++seed)
        extents.push_back(make_extent(seed, 600));
    REQUIRE(store->put_extents(std::move(extents)));
    store.close();
    const fs::path path = store.path() / "catalogue.db";

    SUBCASE("overwritten from the start") {
        std::fstream(path, std::ios::in | std::ios::out) << std::string(200, 'x');
    }
    SUBCASE("pages in the middle overwritten") {
        std::fstream file(path, std::ios::in | std::ios::out);
        file.seekp(4096 * 3);
        file << std::string(4096 * 20, '\xa5');
    }
    SUBCASE("cut short") {
        fs::resize_file(path, 4096 * 5);
    }
    store.open();
    CHECK(fs::exists(store.path() / "catalogue.db.damaged"));
    CHECK(store->usage().extents < 200);
    REQUIRE(store->put_extents(one(make_extent(1'000, 600))));
    store.reopen();
    require_readable(*store, make_extent(1'000, 600));
}

TEST_CASE("a transaction that is not committed leaves nothing") {
    const TemporaryDirectory directory;
    Database database = open_new(directory.path() / "db");
    REQUIRE(database.execute("CREATE TABLE a (x INTEGER)"));
    {
        auto transaction = Transaction::begin(database);
        REQUIRE(transaction);
        REQUIRE(database.query("INSERT INTO a (x) VALUES (?1)", std::int64_t{1}).run() == 1U);
    }
    CHECK(database.integer("SELECT count(*) FROM a") == 0);
    auto transaction = Transaction::begin(database);
    REQUIRE(transaction);
    REQUIRE(database.query("INSERT INTO a (x) VALUES (?1)", std::int64_t{1}).run() == 1U);
    REQUIRE(transaction->commit());
    CHECK(database.integer("SELECT count(*) FROM a") == 1);
}

TEST_CASE("a statement that cannot be prepared is an error, not a crash") {
    const TemporaryDirectory directory;
    Database database = open_new(directory.path() / "db");
    CHECK_FALSE(database.integer("SELECT nonsense FROM nowhere"));
    CHECK_FALSE(database.query("INSERT INTO nowhere VALUES (?1)", std::int64_t{1}).run());
    CHECK_FALSE(database.execute("nonsense"));
}

}  // namespace
}  // namespace flow29::store::test
