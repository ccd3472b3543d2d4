// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/sqlite.hpp"
#include "support.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <iterator>

// Every byte of what a small store has on its disk is changed, one at a time.

namespace flow29::store::test {
namespace {

constexpr WallTime much_later{std::chrono::hours(24 * 365 * 200)};
constexpr std::size_t inside_bytes = 1'000;
constexpr std::size_t file_bytes = 64 * 1024 + 700;

fs::path file_of(const OnDisk& store, const ExtentHash& hash) {
    const std::string name = to_hex(hash);
    return store.path() / "extents" / name.substr(0, 2) / name;
}

void flip(int descriptor, std::size_t at) {
    std::uint8_t octet = 0;
    REQUIRE(::pread(descriptor, &octet, 1, static_cast<off_t>(at)) == 1);
    octet ^= static_cast<std::uint8_t>(1U << (at % 8));
    REQUIRE(::pwrite(descriptor, &octet, 1, static_cast<off_t>(at)) == 1);
}

void flip_in(const fs::path& path, std::size_t at) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(descriptor >= 0);
    flip(descriptor, at);
    ::close(descriptor);
}

/// Neither is it served as if it were right, nor does a look at all of it miss it. Every range that
/// may still be read must prove itself.
void require_found(Store& store, const ExtentHash& hash, std::size_t size) {
    const ChunkCount count = core::chunks_in(ByteCount(size));
    const auto slice = store.read(hash, all_chunks(size));
    REQUIRE(code_of(slice) == Errc::corrupt_store);
    REQUIRE_FALSE(store.has_extent(hash));
    REQUIRE(code_of(store.read(hash, chunks(0, count.value))) == Errc::not_found);
}

TEST_CASE("a flip of any byte of an extent's file is found by reading and by verifying") {
    OnDisk store;
    const NewExtent extent = make_extent(1, file_bytes);
    const fs::path path = file_of(store, extent.hash);
    const fs::path spare = store.path() / "spare";
    REQUIRE(store->put_extents(one(make_extent(1, file_bytes))));
    for (std::size_t at = 0; at < file_bytes; ++at) {
        CAPTURE(at);
        // Kept under another name: dropping it unlinks this one.
        REQUIRE(::link(path.c_str(), spare.c_str()) == 0);
        flip_in(path, at);
        if (at % 2 == 0) {
            require_found(*store, extent.hash, file_bytes);
        } else {
            REQUIRE(code_of(store->scrub(extent.hash)) == Errc::corrupt_store);
            REQUIRE_FALSE(store->has_extent(extent.hash));
        }
        REQUIRE_FALSE(fs::exists(path));
        fs::remove(spare);
        REQUIRE(store->put_extents(one(make_extent(1, file_bytes))));
    }
    require_readable(*store, extent);
    REQUIRE(store->scrub(extent.hash));
}

/// Flips every byte of one column of an extent's row, one at a time.
void rot_column(const char* select, const char* update, std::size_t size) {
    OnDisk store;
    const NewExtent extent = make_extent(2, size);
    auto beside = Database::open(store.path() / "catalogue.db");
    REQUIRE(beside);
    std::size_t bytes = 1;
    for (std::size_t at = 0; at < bytes; ++at) {
        CAPTURE(at);
        REQUIRE(store->put_extents(one(make_extent(2, size))));
        Bytes column;
        {
            Query query = beside->query(select);
            const auto row = query.step();
            REQUIRE((row && *row));
            const ByteView raw = query.blob(0);
            column.assign(raw.begin(), raw.end());
        }
        bytes = column.size();
        column[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
        REQUIRE(beside->query(update, column).run() == 1U);
        if (at % 2 == 0) {
            require_found(*store, extent.hash, size);
        } else {
            REQUIRE(code_of(store->scrub(extent.hash)) == Errc::corrupt_store);
            REQUIRE_FALSE(store->has_extent(extent.hash));
        }
    }
    REQUIRE(bytes > 1);
}

TEST_CASE("a flip of any byte of data inside the catalogue is found") {
    rot_column("SELECT data FROM extent_contents", "UPDATE extent_contents SET data = ?1",
               inside_bytes);
}

TEST_CASE("a flip of any byte of a stored tree is found") {
    rot_column("SELECT groups FROM extent_contents", "UPDATE extent_contents SET groups = ?1",
               file_bytes);
}

TEST_CASE("a flip of any byte of the checksums is found") {
    rot_column("SELECT checksums FROM extent_contents", "UPDATE extent_contents SET checksums = ?1",
               file_bytes);
}

TEST_CASE("a flip of any byte of a stored descriptor is found") {
    OnDisk store;
    const auto object = object_of({make_id<ExtentHash>(1), make_id<ExtentHash>(2)}, 11, 1'000);
    const Bytes encoded = object.encode();
    auto beside = Database::open(store.path() / "catalogue.db");
    REQUIRE(beside);
    REQUIRE(store->put_object(object.root(), object, "name"));
    for (std::size_t at = 0; at < encoded.size(); ++at) {
        CAPTURE(at);
        Bytes changed = encoded;
        changed[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
        REQUIRE(beside->query("UPDATE descriptors SET encoded = ?1", changed).run() == 1U);
        REQUIRE(code_of(store->descriptor(object.root())) == Errc::corrupt_store);
        REQUIRE(store->roots() == std::vector<RootHash>{object.root()});
    }
    REQUIRE(store->put_object(object.root(), object, ""));
    CHECK(store->descriptor(object.root()) == object);
}

TEST_CASE("a flip of any byte of what is noted of a fetch, or of a setting, is found") {
    OnDisk store;
    auto beside = Database::open(store.path() / "catalogue.db");
    REQUIRE(beside);
    const auto root = make_id<RootHash>(1);
    core::RangeSet verified;
    verified.insert(512, 1'024);
    verified.insert(4'096, 1'000'000);
    const Bytes value{1, 2, 3, 4, 5, 6, 7, 8};
    const auto flipped = [](ByteView octets, std::size_t at) {
        Bytes changed(octets.begin(), octets.end());
        changed[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
        return changed;
    };
    const auto blob = [&](const char* select) {
        Query query = beside->query(select);
        const auto row = query.step();
        REQUIRE((row && *row));
        const ByteView octets = query.blob(0);
        return Bytes(octets.begin(), octets.end());
    };
    std::size_t bytes = 1;
    for (std::size_t at = 0; at < bytes; ++at) {
        CAPTURE(at);
        REQUIRE(store->set_fetch_progress(root, "part", verified));
        REQUIRE(store->fetch_progress(root, "part") == verified);
        const Bytes noted = blob("SELECT verified FROM fetches");
        bytes = noted.size();
        REQUIRE(beside->query("UPDATE fetches SET verified = ?1", flipped(noted, at)).run() == 1U);
        REQUIRE(store->fetch_progress(root, "part") == core::RangeSet());
    }
    CHECK(bytes == 32);
    for (std::size_t at = 0; at < value.size(); ++at) {
        CAPTURE(at);
        REQUIRE(store->set_setting("limit", value));
        REQUIRE(store->setting("limit") == value);
        REQUIRE(
            beside->query("UPDATE settings SET value = ?1 WHERE key = 'limit'", flipped(value, at))
                .run() == 1U);
        REQUIRE_FALSE(store->setting("limit"));
    }
    REQUIRE(store->set_setting("limit", value));
    CHECK(store->setting("limit") == value);
}

/// A store with one object of two extents, one in a file and one inside, under a lease.
struct Small {
    Small() {
        lease = make_lease(publisher, object.root(), 1, much_later);
        REQUIRE(store->put_object(object.root(), object, "name"));
        REQUIRE(store->put_lease(lease));
        REQUIRE(store->set_published(object.root(), true));
        std::vector<NewExtent> extents;
        extents.push_back(make_extent(1, 128 * 1024));
        extents.push_back(make_extent(2, inside_bytes));
        REQUIRE(store->put_extents(std::move(extents)));
        REQUIRE(store->add_holders({{proto::ItemId::of(in_file.hash), make_id<NodeId>(7)}}));
        REQUIRE(store->set_setting("k", in_file.hash.view()));
        store.close();
        fs::copy(store.path() / "catalogue.db", saved.path() / "catalogue.db");
    }
    /// As it was before anything was damaged.
    void restore() {
        store.close();
        for (const char* name :
             {"catalogue.db", "catalogue.db-wal", "catalogue.db-shm", "catalogue.db.damaged",
              "catalogue.db.damaged-wal", "catalogue.db.damaged-shm", "catalogue.suspect"})
            fs::remove(store.path() / name);
        fs::copy(saved.path() / "catalogue.db", store.path() / "catalogue.db");
        const fs::path path = file_of(store, in_file.hash);
        if (fs::exists(path)) return;
        store.open();
        REQUIRE(store->put_extents(one(make_extent(1, 128 * 1024))));
        store.close();
    }
    [[nodiscard]] fs::path catalogue() const { return store.path() / "catalogue.db"; }

    OnDisk store;
    TemporaryDirectory saved;
    const core::Identity publisher = new_identity();
    const NewExtent in_file = make_extent(1, 128 * 1024);
    const NewExtent inside = make_extent(2, inside_bytes);
    const core::Descriptor object = object_of({in_file.hash, inside.hash}, 8, inside_bytes);
    proto::Lease lease;
};

TEST_CASE("no flip in the catalogue has wrong bytes served") {
    Small small;
    const std::size_t size = fs::file_size(small.catalogue());
    unsigned refused = 0, anew = 0, kept = 0, flips = 0;
    // A prime, so that all kinds of bytes have their turn; each takes a start of the store.
    for (std::size_t at = 0; at < size; at += at < 100 ? 1 : 53) {
        CAPTURE(at);
        ++flips;
        small.restore();
        flip_in(small.catalogue(), at);
        auto opened = open_disk_store({small.store.path(), default_capacity});
        if (!opened) {
            REQUIRE(code_of(opened) == Errc::corrupt_store);
            MESSAGE(at, ": ", opened.error().message());
            ++refused;
            continue;
        }
        anew += fs::exists(small.store.path() / "catalogue.db.damaged");
        Store& store = **opened;
        for (const NewExtent* extent : {&small.in_file, &small.inside}) {
            const auto slice = store.read(extent->hash, all_chunks(extent->data.size()));
            if (!slice) continue;
            REQUIRE(std::ranges::equal(slice->data.view(), extent->data.view()));
            ++kept;
        }
        if (const auto descriptor = store.descriptor(small.object.root()))
            REQUIRE(*descriptor == small.object);
        for (const auto& lease : store.leases(small.object.root()))
            REQUIRE(lease == small.lease);
        // What an index says is what its table says, or it was made anew.
        REQUIRE(store.check_catalogue());
    }
    MESSAGE(flips, " flips: ", anew, " times it was made anew, ", refused, " times refused, ", kept,
            " of ", 2 * (flips - refused), " extents were right there afterwards");
    CHECK(anew > 0);
    CHECK(refused == 0);
}

/// Where these octets are in a file.
std::vector<std::size_t> places_of(ByteView wanted, const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string octets{std::istreambuf_iterator<char>(file), {}};
    const std::string text(wanted.begin(), wanted.end());
    std::vector<std::size_t> places;
    for (auto at = octets.find(text); at != std::string::npos; at = octets.find(text, at + 1))
        places.push_back(at);
    return places;
}

TEST_CASE("wherever in the catalogue a root or an extent's hash lost a bit, it is known again") {
    Small small;
    const auto roots = places_of(small.object.root().view(), small.catalogue());
    const auto extents = places_of(small.in_file.hash.view(), small.catalogue());
    CHECK(roots.size() >= 4);  // a table, its index, a lease and what it signed
    CHECK(extents.size() >= 4);
    const auto with_flip_at = [&](std::size_t at) {
        small.restore();
        flip_in(small.catalogue(), at + 5);
        auto opened = open_disk_store({small.store.path(), default_capacity});
        REQUIRE(opened);
        REQUIRE((*opened)->check_catalogue());
        return std::move(*opened);
    };
    for (const auto at : roots) {
        CAPTURE(at);
        const auto store = with_flip_at(at);
        const auto object = store->object(small.object.root());
        REQUIRE(object);
        CHECK(object->published);
        CHECK(store->objects().size() == 1);
    }
    for (const auto at : extents) {
        CAPTURE(at);
        const auto store = with_flip_at(at);
        const auto slice = store->read(small.in_file.hash, all_chunks(128 * 1024));
        REQUIRE(slice);
        CHECK(std::ranges::equal(slice->data.view(), small.in_file.data.view()));
    }
}

TEST_CASE("a catalogue of which nothing can be read is made anew from the extent files") {
    Small small;
    std::string what;
    for (const char* const one : {"flipped", "emptied", "removed"})
        SUBCASE(one) {
            what = one;
        }
    if (what == "flipped") {
        const int descriptor = ::open(small.catalogue().c_str(), O_RDWR | O_CLOEXEC);
        REQUIRE(descriptor >= 0);
        for (std::size_t at = 0; at < 16; ++at)
            flip(descriptor, at);
        ::close(descriptor);
    } else if (what == "emptied") {
        fs::resize_file(small.catalogue(), 0);
    } else {
        fs::remove(small.catalogue());
    }
    // One of which the name is not that of its contents, and one that was not there.
    const ExtentHash wrong = make_id<ExtentHash>(5);
    fs::create_directories(file_of(small.store, wrong).parent_path());
    fs::copy(file_of(small.store, small.in_file.hash), file_of(small.store, wrong));
    small.store.open();
    require_readable(*small.store, small.in_file);
    CHECK_FALSE(small.store->has_extent(small.inside.hash));
    CHECK_FALSE(small.store->has_extent(wrong));
    CHECK_FALSE(fs::exists(file_of(small.store, wrong)));
    CHECK(small.store->objects().empty());

    // Nobody says yet what it is part of, and it waits a day for that.
    const auto now =
        std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
    REQUIRE(small.store->collect(now + std::chrono::hours(23)));
    require_readable(*small.store, small.in_file);
    SUBCASE("its object comes back") {
        REQUIRE(small.store->put_lease(small.lease));
        REQUIRE(small.store->put_object(small.object.root(), small.object, ""));
        CHECK(small.store->object(small.object.root())->extents_held == 1);
        REQUIRE(small.store->collect(now + std::chrono::hours(25)));
        require_readable(*small.store, small.in_file);
    }
    SUBCASE("it does not") {
        REQUIRE(small.store->collect(now + std::chrono::hours(25)));
        CHECK_FALSE(small.store->has_extent(small.in_file.hash));
    }
}

TEST_CASE("what of a damaged catalogue can be read is taken over") {
    Small small;
    SUBCASE("damage that was met while it was open") {
        small.store.open();
        REQUIRE(small.store->check_catalogue());
        {
            // The table's rows say what its index does not.
            auto beside = Database::open(small.catalogue());
            REQUIRE(beside);
            REQUIRE(
                beside->execute("PRAGMA writable_schema = ON;"
                                "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM "
                                "sqlite_schema WHERE name = 'objects') "
                                "WHERE name = 'fetches'"));
        }
        small.store.reopen();
    }
    SUBCASE("a row costs more than there is, or less than nothing") {
        auto beside = Database::open(small.catalogue());
        REQUIRE(beside);
        const char* change = "";
        SUBCASE("more") {
            change = "UPDATE extents SET cost = 9223372036854775807 WHERE id = 1";
        }
        SUBCASE("less") {
            change = "UPDATE settings SET cost = -1";
        }
        REQUIRE(beside->execute(change));
        small.store.open();
    }
    SUBCASE("it was set aside, and then the machine went down") {
        fs::rename(small.catalogue(), small.store.path() / "catalogue.db.damaged");
        small.store.open();
    }
    require_readable(*small.store, small.in_file);
    require_readable(*small.store, small.inside);
    const auto object = small.store->object(small.object.root());
    REQUIRE(object);
    CHECK(object->name == "name");
    CHECK(object->published);
    CHECK(object->extents_held == 2);
    CHECK(small.store->leases(small.object.root()) == std::vector<proto::Lease>{small.lease});
    CHECK(small.store->holders({proto::ItemId::of(small.in_file.hash)}).size() == 1);
    CHECK(small.store->setting("k").has_value());
    CHECK(fs::exists(small.store.path() / "catalogue.db.damaged"));
    const auto used = small.store->usage();
    small.store.reopen();
    CHECK(small.store->usage().used == used.used);
    CHECK(small.store->usage().extents == 2);
}

}  // namespace
}  // namespace flow29::store::test
