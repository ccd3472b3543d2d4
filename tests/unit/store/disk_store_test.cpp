// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/sqlite.hpp"
#include "support.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <fstream>

namespace flow29::store::test {
namespace {

constexpr WallTime far_away{std::chrono::hours(24 * 365 * 100)};

fs::path file_of(const OnDisk& store, const ExtentHash& hash) {
    const std::string name = to_hex(hash);
    return store.path() / "extents" / name.substr(0, 2) / name;
}

void flip_byte(const fs::path& path, std::size_t at) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(at));
    const int octet = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(octet ^ 0x20));
    REQUIRE(file.good());
}

/// Runs SQL on the catalogue beside the store.
void tamper(const OnDisk& store, const char* sql) {
    auto database = Database::open(store.path() / "catalogue.db");
    REQUIRE(database);
    const auto done = database->execute(sql);
    REQUIRE_MESSAGE(done, (done ? std::string() : done.error().message()));
}

unsigned mode_of(const fs::path& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

std::size_t files_under(const fs::path& path) {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(path))
        count += entry.is_regular_file() ? 1 : 0;
    return count;
}

TEST_CASE("a restart finds everything as it was") {
    OnDisk store;
    const NewExtent small = make_extent(1, 1'000);
    const NewExtent large = make_extent(2, 200'000);
    const NewExtent outside = make_extent(3, 100'000);
    const TemporaryDirectory elsewhere;
    const fs::path file = elsewhere.path() / "film";
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(outside.data.data()), 100'000);
    const core::Identity publisher = new_identity();

    const auto object = object_of({large.hash}, 11, 200'000);
    const auto leased = object_of({small.hash}, 11, 1'000);
    const auto lease = make_lease(publisher, leased.root(), 3, far_away);
    proto::NodeRecord record;
    record.sign(publisher);
    core::RangeSet verified;
    verified.insert(512, 4'096);
    const auto item = proto::ItemId::of(large.hash);
    REQUIRE(store->put_object(object.root(), object, "name\n"));
    REQUIRE(store->put_object(leased.root(), leased, ""));
    REQUIRE(store->set_pinned(object.root(), true));
    REQUIRE(store->set_published(object.root(), true));
    REQUIRE(store->put_extents(one(make_extent(1, 1'000))));
    REQUIRE(store->put_extents(one(make_extent(2, 200'000))));
    REQUIRE(store->put_references({reference_to(file, outside)}));
    REQUIRE(store->put_lease(lease));
    REQUIRE(store->add_holders({{item, make_id<NodeId>(4)}}));
    REQUIRE(store->put_node_record(record));
    REQUIRE(store->set_fetch_progress(object.root(), "/x", verified));
    REQUIRE(store->set_setting("a", Bytes{1}));
    const Usage before = store->usage();
    const auto added = store->object(object.root())->added;

    store.reopen();
    const Usage after = store->usage();
    CHECK(after.used == before.used);
    CHECK(after.objects == before.objects);
    CHECK(after.extents == before.extents);
    for (const NewExtent* extent : {&small, &large, &outside})
        require_readable(*store, *extent);
    const auto info = store->object(object.root());
    REQUIRE(info);
    CHECK(info->name == "name\n");
    CHECK((info->pinned && info->published));
    CHECK(info->extents_held == 1);
    CHECK(info->added == added);
    CHECK(info->descriptor == object);
    CHECK(store->leases(leased.root()) == std::vector{lease});
    CHECK(store->put_lease(lease) == false);
    CHECK(store->holders({item}).size() == 1);
    CHECK(store->node_record(publisher.id()) == record);
    CHECK(store->fetch_progress(object.root(), "/x") == verified);
    CHECK(store->setting("a") == Bytes{1});
    CHECK(store->roots_of(large.hash) == std::vector{object.root()});
    REQUIRE(store->collect(far_away - std::chrono::hours(1)));
    CHECK(store->usage().extents == 2);  // the reference is in no object
}

TEST_CASE("small extents lie in the catalogue and larger ones in files") {
    OnDisk store;
    REQUIRE(store->put_extents(one(make_extent(1, 65'536))));
    CHECK(files_under(store.path() / "extents") == 0);
    const NewExtent large = make_extent(2, 65'537);
    REQUIRE(store->put_extents(one(make_extent(2, 65'537))));
    CHECK(files_under(store.path() / "extents") == 1);
    CHECK(fs::file_size(file_of(store, large.hash)) == 65'537);
    CHECK(files_under(store.path() / "tmp") == 0);
    REQUIRE(store->collect(far_away));
    CHECK(files_under(store.path() / "extents") == 0);
}

TEST_CASE("nobody else may read the directory") {
    const TemporaryDirectory parent;
    const fs::path path = parent.path() / "data";
    const auto store = open_disk_store({path, default_capacity});
    REQUIRE(store);
    REQUIRE((*store)->put_extents(one(make_extent(1, 70'000))));
    CHECK(mode_of(path) == 0700);
    for (const auto& entry : fs::recursive_directory_iterator(path))
        CHECK_MESSAGE((mode_of(entry.path()) & 077) == 0, entry.path());
}

TEST_CASE("a second store in the directory is refused and told who has it") {
    OnDisk store;
    const auto second = open_disk_store({store.path(), default_capacity});
    REQUIRE(code_of(second) == Errc::locked);
    CHECK(second.error().context.find(std::to_string(::getpid())) != std::string::npos);

    // Another process too.
    const pid_t child = ::fork();
    if (child == 0) {
        const auto third = open_disk_store({store.path(), default_capacity});
        ::_exit(code_of(third) == Errc::locked ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    store.reopen();
}

TEST_CASE("a directory that cannot be made or written is a file error in the system's words") {
    const TemporaryDirectory parent;
    const auto missing = open_disk_store({parent.path() / "no" / "data", default_capacity});
    REQUIRE(code_of(missing) == Errc::file_error);
    CHECK(missing.error().context.find("No such file or directory") != std::string::npos);

    std::ofstream(parent.path() / "file") << "x";
    CHECK(code_of(open_disk_store({parent.path() / "file", default_capacity})) == Errc::file_error);
    CHECK(code_of(open_disk_store({"/proc/data", default_capacity})) == Errc::file_error);
}

TEST_CASE("what is no file of a store is not opened as one, and what a link names is left alone") {
    for (const char* const name : {"catalogue.db", "catalogue.db-wal", "catalogue.db.damaged"}) {
        const TemporaryDirectory directory;
        const auto path = directory.path() / name;
        REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
        const auto opened = open_disk_store({directory.path(), ByteCount(1 << 20)});
        CHECK(opened.error().code == Errc::file_error);
        CHECK(opened.error().message().find(name) != std::string::npos);
    }
    const TemporaryDirectory directory, elsewhere;
    std::ofstream(elsewhere.path() / "mine") << "x";
    fs::create_directory_symlink(elsewhere.path(), directory.path() / "tmp");
    const auto opened = open_disk_store({directory.path(), ByteCount(1 << 20)});
    CHECK(opened.error().code == Errc::file_error);
    CHECK(fs::exists(elsewhere.path() / "mine"));
}

TEST_CASE("a directory where an extent belongs gives way to the extent") {
    OnDisk store;
    const NewExtent extent = make_extent(1, 200'000);
    const auto path = file_of(store, extent.hash);
    fs::create_directories(path / "inside");
    REQUIRE(store->put_extents(one(make_extent(1, 200'000))));
    CHECK(fs::is_regular_file(path));
    CHECK(store->scrub(extent.hash));
}

TEST_CASE("what a crash left behind is deleted at the start, and nothing else") {
    OnDisk store;
    const NewExtent kept = make_extent(1, 100'000);
    REQUIRE(store->put_extents(one(make_extent(1, 100'000))));
    store.close();
    const fs::path orphan = file_of(store, make_id<ExtentHash>(9));
    fs::create_directories(orphan.parent_path());
    std::ofstream(orphan) << "half";
    std::ofstream(store.path() / "tmp" / "0") << "half";
    fs::create_directories(store.path() / "extents" / "00");
    std::ofstream(store.path() / "extents" / "00" / "notes.txt") << "mine";
    store.open();
    CHECK_FALSE(fs::exists(orphan));
    CHECK(files_under(store.path() / "tmp") == 0);
    CHECK(fs::exists(store.path() / "extents" / "00" / "notes.txt"));
    require_readable(*store, kept);
}

TEST_CASE("a changed byte of an extent file is never served") {
    OnDisk store;
    const NewExtent extent = make_extent(1, 70'001);
    for (std::size_t at = 0; at < 70'001; at += at < 69'000 ? 2'900 : 100) {
        CAPTURE(at);
        REQUIRE(store->put_extents(one(make_extent(1, 70'001))));
        require_readable(*store, extent, chunks(0, 1));
        flip_byte(file_of(store, extent.hash), at);
        const std::uint64_t block = at / limits::checksum_block_bytes;
        if (block != 0) require_readable(*store, extent, chunks(0, 32 * block));
        const std::uint64_t chunk = at / limits::chunk_bytes;
        const auto slice = store->read(extent.hash, chunks(chunk, chunk + 1));
        REQUIRE(code_of(slice) == Errc::corrupt_store);
        CHECK(slice.error().context.find(to_hex(extent.hash)) != std::string::npos);
        CHECK_FALSE(store->has_extent(extent.hash));
        CHECK_FALSE(fs::exists(file_of(store, extent.hash)));
        CHECK(store->usage().used == ByteCount(0));
    }
}

TEST_CASE("a large extent that came in pieces reads right however often and however much") {
    constexpr std::size_t size = 3 * (1U << 20) + 5'001;
    const NewExtent extent = make_extent(1, size);
    for (const std::size_t piece_bytes : {std::size_t{1} << 20, std::size_t{96} << 10}) {
        NewExtent pieces = make_extent(1, 0);
        pieces.hash = extent.hash;
        pieces.group_hashes = extent.group_hashes;
        for (std::size_t at = 0; at < size; at += piece_bytes) {
            const auto part = extent.data.view().subspan(at, std::min(piece_bytes, size - at));
            auto& into = at == 0 ? pieces.data : pieces.rest.emplace_back();
            into = core::Buffer::copy_of(part);
        }
        OnDisk store;
        REQUIRE(store->put_extents(one(std::move(pieces))));
        require_readable(*store, extent, chunks(0, 2048));  // on page borders
        require_readable(*store, extent, chunks(33, 2111));
        require_readable(*store, extent, chunks(2048, 6154));  // to the end
        for (unsigned times = 0; times < 3; ++times)
            require_readable(*store, extent);
        flip_byte(file_of(store, extent.hash), size - 1);
        CHECK(code_of(store->read(extent.hash, all_chunks(size))) == Errc::corrupt_store);
    }
}

TEST_CASE("a file that lost its end is never served, large reads neither") {
    OnDisk store;
    constexpr std::size_t size = 1U << 20;
    const NewExtent extent = make_extent(1, size);
    REQUIRE(store->put_extents(one(make_extent(1, size))));
    fs::resize_file(file_of(store, extent.hash), size - 4096);
    CHECK(code_of(store->read(extent.hash, all_chunks(size))) == Errc::corrupt_store);
    CHECK_FALSE(store->has_extent(extent.hash));
}

TEST_CASE("a changed byte of an extent in the catalogue is never served") {
    OnDisk store;
    std::vector<NewExtent> extents;
    constexpr std::size_t size = 20'001;
    for (std::size_t at = 0; at < size; at += 100)
        extents.push_back(make_extent(at, size));
    REQUIRE(store->put_extents(std::move(extents)));
    store.reopen();
    {
        auto database = Database::open(store.path() / "catalogue.db");
        REQUIRE(database);
        auto transaction = Transaction::begin(*database);
        for (std::size_t at = 0; at < size; at += 100) {
            NewExtent extent = make_extent(at, size);
            extent.data.data()[at] ^= 1;
            REQUIRE(database
                        ->query("UPDATE extent_contents SET data = ?2 WHERE extent = "
                                "(SELECT id FROM extents WHERE hash = ?1)",
                                extent.hash, extent.data.view())
                        .run() == 1U);
        }
        REQUIRE(transaction->commit());
    }
    for (std::size_t at = 0; at < size; at += 100) {
        CAPTURE(at);
        const NewExtent extent = make_extent(at, size);
        REQUIRE(code_of(store->read(extent.hash, all_chunks(size))) == Errc::corrupt_store);
        REQUIRE_FALSE(store->has_extent(extent.hash));
    }
    CHECK(store->usage().used == ByteCount(0));
}

TEST_CASE("a damaged tree or checksum row costs the extent, not the process") {
    for (const char* sql :
         {"UPDATE extent_contents SET groups = zeroblob(length(groups))",
          "UPDATE extent_contents SET groups = zeroblob(33)",
          "UPDATE extent_contents SET checksums = x''",
          "UPDATE extent_contents SET checksums = zeroblob(length(checksums))",
          "UPDATE extents SET length = 1", "UPDATE extents SET length = -5",
          "UPDATE extent_contents SET data = x'00'", "DELETE FROM extent_contents"}) {
        CAPTURE(sql);
        OnDisk store;
        const NewExtent extent = make_extent(1, 40'000);
        REQUIRE(store->put_extents(one(make_extent(1, 40'000))));
        store.reopen();
        tamper(store, sql);
        CHECK(code_of(store->read(extent.hash, chunks(0, 1))) == Errc::corrupt_store);
        CHECK_FALSE(store->has_extent(extent.hash));
        REQUIRE(store->put_extents(one(make_extent(1, 40'000))));
        require_readable(*store, extent);
    }
}

TEST_CASE("a damaged descriptor is reported and mended by putting it again") {
    OnDisk store;
    const auto object = object_of({make_id<ExtentHash>(1)}, 11, 1'000);
    REQUIRE(store->put_object(object.root(), object, "name"));
    REQUIRE(store->set_pinned(object.root(), true));
    tamper(store, "UPDATE descriptors SET encoded = x'00'");
    CHECK(code_of(store->descriptor(object.root())) == Errc::corrupt_store);
    CHECK(store->objects().empty());
    REQUIRE(store->put_object(object.root(), object, ""));
    CHECK(store->descriptor(object.root()) == object);
    CHECK(store->object(object.root())->name == "name");
    CHECK(store->object(object.root())->pinned);
}

TEST_CASE("the catalogue takes no more room than it counts for") {
    OnDisk store;
    std::vector<NewExtent> extents;
    std::vector<ExtentHash> hashes;
    std::vector<KnownHolder> holders;
    for (std::uint64_t seed = 0; seed < 4'000; ++seed) {
        extents.push_back(make_extent(seed, 512));
        hashes.push_back(extents.back().hash);
        holders.push_back({proto::ItemId::of(hashes.back()), make_id<NodeId>(seed)});
    }
    const auto object = object_of(hashes, 0, 512);
    REQUIRE(store->put_object(object.root(), object, ""));
    REQUIRE(store->put_extents(std::move(extents)));
    REQUIRE(store->add_holders(holders));
    CHECK(store->object(object.root())->extents_held == 4'000);
    const std::uint64_t counted = store->usage().used.value;
    store.close();  // which empties the journal into the catalogue
    const std::uint64_t taken = fs::file_size(store.path() / "catalogue.db");
    MESSAGE("counted ", counted, ", taken ", taken);
    CHECK(taken <= counted + 200'000);
    CHECK(taken >= counted / 2);
}

TEST_CASE("no file of a store is mapped, where a failing disk would end the process") {
    OnDisk store;
    REQUIRE(store->put_extents(one(make_extent(1, 1000))));
    std::ifstream maps("/proc/self/maps");
    const std::string all{std::istreambuf_iterator<char>(maps), {}};
    CHECK(all.find("unit_store") != std::string::npos);
    CHECK(all.find(store.path().string()) == std::string::npos);
    CHECK_FALSE(fs::exists(store.path() / "catalogue.db-shm"));
}

TEST_CASE("a full disk is no_space, and what was there stays") {
    const TemporaryDirectory parent;
    // Few names, so that files run out before blocks and the store's own check sees nothing.
    if (::mount("tmpfs", parent.path().c_str(), "tmpfs", 0, "size=24m,nr_inodes=40") != 0) {
        MESSAGE("skipped: mounting is not permitted here");
        return;
    }
    {
        std::ofstream filler(parent.path() / "filler");
        auto opened = open_disk_store({parent.path() / "data", default_capacity});
        REQUIRE(opened);
        Store& store = **opened;
        std::uint64_t stored = 0;
        Errc code = Errc::ok;
        while (code == Errc::ok) {
            code = code_of(store.put_extents(one(make_extent(stored, 70'000))));
            if (code == Errc::ok) ++stored;
        }
        CHECK(code == Errc::no_space);
        CHECK(stored > 5);
        CHECK(store.usage().extents == stored);
        // Then the blocks: a batch that the store itself foresees, and commits that it does not.
        CHECK(code_of(store.reserve(ByteCount(23 * 1024 * 1024))) == Errc::no_space);
        filler << std::string(24 * 1024 * 1024, 'x') << std::flush;
        CHECK(code_of(store.put_extents(one(make_extent(99, 500)))) == Errc::no_space);
        CHECK(code_of(store.set_setting("k", content(1, 500'000).view())) == Errc::no_space);
        for (std::uint64_t seed = 0; seed < stored; ++seed)
            require_readable(store, make_extent(seed, 70'000));
        fs::resize_file(parent.path() / "filler", 0);
        CHECK(store.set_setting("k", content(1, 500'000).view()));
        opened->reset();
        filler.close();
        auto again = open_disk_store({parent.path() / "data", default_capacity});
        REQUIRE(again);
        for (std::uint64_t seed = 0; seed < stored; ++seed)
            require_readable(**again, make_extent(seed, 70'000));
    }
    REQUIRE(::umount(parent.path().c_str()) == 0);
}

}  // namespace
}  // namespace flow29::store::test
