// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/partial_directory.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "core/hash.hpp"
#include "core/merkle.hpp"
#include "node/beneath.hpp"
#include "node/directory_source.hpp"

using namespace flow29;
using node::PartialDirectory;
namespace fs = std::filesystem;

namespace {

core::VerifiedRange hashes_of(ByteView data) {
    std::vector<ChunkHash> leaves(core::chunks_in(ByteCount(data.size())).value);
    core::leaf_hashes(data, leaves);
    return {std::move(leaves), {}};
}

struct Place {
    fs::path directory =
        fs::temp_directory_path() / ("flow29-directory-" + std::to_string(::getpid()));
    Place() { fs::create_directories(directory); }
    ~Place() { fs::remove_all(directory); }
};

void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

std::string read_all(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// So that a failure does not print all of it.
bool holds(const fs::path& path, std::size_t size, char octet) {
    return read_all(path) == std::string(size, octet);
}

/// A directory on the disk as an object in memory.
struct Object {
    std::shared_ptr<const core::Manifest> manifest;
    Bytes content;
    core::Descriptor descriptor;

    explicit Object(const fs::path& directory, bool has_times = false) {
        const core::UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const auto source = node::DirectorySource::scan(fd.get(), has_times);
        REQUIRE(source.has_value());
        content.resize((*source)->length().value);
        REQUIRE((*source)->read(0, content).has_value());
        const auto size = core::Manifest::encoded_bytes(content, ByteCount(content.size()));
        REQUIRE(size.has_value());
        auto decoded =
            core::Manifest::decode(ByteView(content).first(size->value), ByteCount(content.size()));
        REQUIRE(decoded.has_value());
        manifest = std::make_shared<const core::Manifest>(std::move(*decoded));
        descriptor = {ObjectKind::directory, ByteCount(content.size()), 8, {}};
        const auto layout = descriptor.layout();
        for (std::uint64_t i = 0; i < layout.extents(); ++i) {
            const auto bytes = layout.extent_bytes(ExtentIndex(i));
            descriptor.extents.push_back(
                core::tree_hash(ByteView(content).subspan(bytes.first.value, bytes.count().value)));
        }
    }

    [[nodiscard]] PartialDirectory::Options options(const fs::path& path) const {
        return {path, descriptor.root(), {}, false};
    }

    /// Everything wanted that is not there yet, an extent at a time, until `pieces` are given.
    void give(PartialDirectory& output, std::uint64_t pieces = ~0ULL) const {
        const auto layout = descriptor.layout();
        const auto want = output.wanted();
        for (std::uint64_t i = 0; i < layout.extents() && pieces > 0; ++i) {
            auto bytes = layout.extent_bytes(ExtentIndex(i));
            const auto start = bytes.first;
            bytes.first = std::max(bytes.first, want.first);
            bytes.last = std::min(bytes.last, want.last);
            if (bytes.empty() || output.verified().contains(bytes.first.value, bytes.last.value))
                continue;
            --pieces;
            const node::Piece piece{
                ExtentIndex(i), core::chunks_covering({bytes.first - start, bytes.last - start}),
                bytes};
            const auto data = ByteView(content).subspan(bytes.first.value, bytes.count().value);
            REQUIRE(output.store(piece, data, hashes_of(data)).has_value());
            auto buffer = core::Buffer::copy_of(data);
            output.deliver(piece, buffer);
        }
    }
};

void make_tree(const fs::path& at) {
    write(at / "a" / "b", std::string(300'000, 'b'));
    write(at / "a" / "c", std::string(1000, 'c'));
    write(at / "run", "#!");
    write(at / "zero", "");
    fs::permissions(at / "run", fs::perms::owner_all);
    fs::create_directories(at / "empty");
    write(at / "z", std::string(400'000, 'z'));
}

void check_tree(const fs::path& at) {
    CHECK(holds(at / "a" / "b", 300'000, 'b'));
    CHECK(holds(at / "a" / "c", 1000, 'c'));
    CHECK(holds(at / "z", 400'000, 'z'));
    CHECK(fs::file_size(at / "zero") == 0);
    CHECK(fs::is_empty(at / "empty"));
    CHECK((fs::status(at / "run").permissions() & fs::perms::owner_exec) != fs::perms::none);
    CHECK((fs::status(at / "z").permissions() & fs::perms::owner_exec) == fs::perms::none);
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : fs::recursive_directory_iterator(at))
        ++count;
    CHECK(count == 7);
}

}  // namespace

TEST_CASE("a directory is filled beside its place and then moved there") {
    const Place place;
    make_tree(place.directory / "source");
    const Object object(place.directory / "source");
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const auto out = place.directory / "out";
    PartialDirectory output(*store, object.descriptor, object.manifest, object.options(out));
    REQUIRE(output.open().has_value());
    CHECK(output.files() == 5);
    CHECK(output.file_bytes() == ByteCount(701'002));
    object.give(output);
    CHECK_FALSE(fs::exists(out));
    REQUIRE(output.finish().has_value());
    check_tree(out);
    CHECK_FALSE(fs::exists(out.string() + ".flow29-part"));
}

TEST_CASE("an interrupted directory goes on from what was noted, and what a kill left is found") {
    const Place place;
    make_tree(place.directory / "source");
    const Object object(place.directory / "source");
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const auto out = place.directory / "out";
    const auto part = fs::path(out.string() + ".flow29-part");
    for (const bool is_noted : {true, false}) {
        CAPTURE(is_noted);
        {
            PartialDirectory output(*store, object.descriptor, object.manifest,
                                    object.options(out));
            REQUIRE(output.open().has_value());
            object.give(output, 3);
            if (is_noted) REQUIRE(output.note(output.verified()).has_value());
        }
        PartialDirectory output(*store, object.descriptor, object.manifest, object.options(out));
        REQUIRE(output.open().has_value());
        CHECK(output.verified().size() > 200'000);
        object.give(output);
        REQUIRE(output.finish().has_value());
        check_tree(out);
        fs::remove_all(out);
    }
}

TEST_CASE("one that is stopped leaves what is made of it, and the next goes on") {
    const Place place;
    make_tree(place.directory / "source");
    const Object object(place.directory / "source", true);
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const auto out = place.directory / "out";
    const auto part = fs::path(out.string() + ".flow29-part");
    std::stop_source stop;
    auto options = object.options(out);
    options.stop = stop.get_token();
    {
        PartialDirectory output(*store, object.descriptor, object.manifest, options);
        REQUIRE(output.open().has_value());
        object.give(output);
        stop.request_stop();
        const auto finished = output.finish();
        REQUIRE_FALSE(finished.has_value());
        CHECK(finished.error().code == Errc::interrupted);
        CHECK_FALSE(fs::exists(out));
    }
    {
        // What is taken up again is walked through first.
        PartialDirectory output(*store, object.descriptor, object.manifest, options);
        const auto opened = output.open();
        REQUIRE_FALSE(opened.has_value());
        CHECK(opened.error().code == Errc::interrupted);
    }
    {
        auto elsewhere = options;
        elsewhere.path = place.directory / "new";
        PartialDirectory output(*store, object.descriptor, object.manifest, elsewhere);
        const auto opened = output.open();
        REQUIRE_FALSE(opened.has_value());
        CHECK(opened.error().code == Errc::interrupted);
        CHECK(fs::is_empty(place.directory / "new.flow29-part"));
    }
    PartialDirectory output(*store, object.descriptor, object.manifest, object.options(out));
    REQUIRE(output.open().has_value());
    object.give(output);
    REQUIRE(output.finish().has_value());
    check_tree(out);
    CHECK_FALSE(fs::exists(part));
}

TEST_CASE("a file that is shorter than its note says, or damaged, is wanted again") {
    const Place place;
    make_tree(place.directory / "source");
    const Object object(place.directory / "source");
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const auto out = place.directory / "out";
    const auto part = fs::path(out.string() + ".flow29-part");
    {
        PartialDirectory output(*store, object.descriptor, object.manifest, object.options(out));
        REQUIRE(output.open().has_value());
        object.give(output);
        REQUIRE(output.note(output.verified()).has_value());
    }
    fs::resize_file(part / "z", 1000);
    {
        PartialDirectory output(*store, object.descriptor, object.manifest, object.options(out));
        REQUIRE(output.open().has_value());
        const auto z = object.manifest->place(object.manifest->find("z").value());
        CHECK_FALSE(output.verified().contains(z.first.value, z.last.value));
        // Nothing was noted of what the next attempt finds: only hashes tell.
    }
    REQUIRE(store->end_fetch(object.descriptor.root(), part).has_value());
    std::ofstream(part / "a" / "b", std::ios::in | std::ios::out) << "x";
    PartialDirectory output(*store, object.descriptor, object.manifest, object.options(out));
    REQUIRE(output.open().has_value());
    const auto b = object.manifest->place(object.manifest->find("a/b").value());
    CHECK_FALSE(output.verified().contains(b.first.value));
    object.give(output);
    REQUIRE(output.finish().has_value());
    check_tree(out);
}

TEST_CASE("what does not belong into the directory is not in it, and no link leads out of it") {
    const Place place;
    make_tree(place.directory / "source");
    const Object object(place.directory / "source");
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const auto out = place.directory / "out";
    const auto part = fs::path(out.string() + ".flow29-part");
    const auto outside = place.directory / "outside";
    write(outside / "precious", "precious");
    write(part / "stranger" / "deep" / "er", "x");
    write(part / "zero", "is not empty");
    write(part / "empty" / "is", "not");
    write(part / "a" / "b" / "directory", "x");
    fs::create_symlink(outside / "precious", part / "z");
    fs::create_symlink(outside, part / "run");
    fs::create_hard_link(outside / "precious", part / "a" / "c");
    PartialDirectory output(*store, object.descriptor, object.manifest, object.options(out));
    REQUIRE(output.open().has_value());
    // A link that appears while the directory is being filled is not followed either.
    fs::remove(part / "run");
    fs::create_symlink(outside / "precious", part / "run");
    const auto place_of_run = object.manifest->place(object.manifest->find("run").value());
    const auto extent = object.descriptor.layout().extent_of(place_of_run.first);
    const auto bytes = object.descriptor.layout().extent_bytes(extent);
    const node::Piece piece{extent, core::chunks_covering({ByteCount(0), bytes.count()}), bytes};
    const auto data = ByteView(object.content).subspan(bytes.first.value, bytes.count().value);
    const auto stored = output.store(piece, data, hashes_of(data));
    REQUIRE_FALSE(stored.has_value());
    CHECK(stored.error().code == Errc::refused);
    CHECK(read_all(outside / "precious") == "precious");
    fs::remove(part / "run");
    object.give(output);
    REQUIRE(output.finish().has_value());
    check_tree(out);
    CHECK(read_all(outside / "precious") == "precious");
}

TEST_CASE("a directory replaces a directory only if it may, and nothing else") {
    const Place place;
    make_tree(place.directory / "source");
    const Object object(place.directory / "source");
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const auto out = place.directory / "out";
    write(out / "old", "old");
    auto options = object.options(out);
    {
        PartialDirectory output(*store, object.descriptor, object.manifest, options);
        const auto opened = output.open();
        REQUIRE_FALSE(opened.has_value());
        CHECK(opened.error().code == Errc::exists_already);
    }
    options.overwrite = true;
    {
        PartialDirectory output(*store, object.descriptor, object.manifest, options);
        REQUIRE(output.open().has_value());
        object.give(output, 2);
        CHECK(read_all(out / "old") == "old");
        object.give(output);
        CHECK(read_all(out / "old") == "old");
        REQUIRE(output.finish().has_value());
    }
    check_tree(out);
    CHECK_FALSE(fs::exists(out.string() + ".flow29-part"));
    fs::remove_all(out);
    write(out, "a file");
    PartialDirectory output(*store, object.descriptor, object.manifest, options);
    const auto opened = output.open();
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::exists_already);
    CHECK(read_all(out) == "a file");
}

TEST_CASE("one that appears while the other is fetched is not replaced") {
    const Place place;
    make_tree(place.directory / "source");
    const Object object(place.directory / "source");
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const auto out = place.directory / "out";
    PartialDirectory output(*store, object.descriptor, object.manifest, object.options(out));
    REQUIRE(output.open().has_value());
    object.give(output);
    write(out / "new", "new");
    const auto finished = output.finish();
    REQUIRE_FALSE(finished.has_value());
    CHECK(finished.error().code == Errc::exists_already);
    CHECK(read_all(out / "new") == "new");
}

TEST_CASE("of a directory one inside it can be had alone") {
    const Place place;
    make_tree(place.directory / "source");
    const Object object(place.directory / "source");
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const auto out = place.directory / "out";
    auto options = object.options(out);
    options.below = "a";
    PartialDirectory output(*store, object.descriptor, object.manifest, options);
    REQUIRE(output.open().has_value());
    CHECK(output.files() == 2);
    CHECK(output.wanted().count().value < 302'000);
    object.give(output);
    REQUIRE(output.finish().has_value());
    CHECK(holds(out / "b", 300'000, 'b'));
    CHECK(holds(out / "c", 1000, 'c'));
}

TEST_CASE("paths beneath a directory stay there") {
    const Place place;
    const core::UniqueFd fd(::open(place.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    fs::create_symlink("/etc", place.directory / "out");
    for (const char* path : {"../x", "/etc/passwd", "out/passwd", "out", "a/../../x"})
        CHECK_FALSE(node::open_beneath(fd.get(), path, O_RDONLY).has_value());
    CHECK_FALSE(node::make_directories_beneath(fd.get(), "out/new").has_value());
    CHECK_FALSE(node::remove_beneath(fd.get(), "out/passwd").has_value());
    REQUIRE(node::make_directories_beneath(fd.get(), "a/b/c").has_value());
    CHECK(fs::is_directory(place.directory / "a" / "b" / "c"));
    REQUIRE(node::remove_beneath(fd.get(), "a").has_value());
    REQUIRE(node::remove_beneath(fd.get(), "out").has_value());
    CHECK(fs::exists("/etc/passwd"));
    CHECK(fs::is_empty(place.directory));
}

TEST_CASE("files were changed when the manifest says, within what it can say") {
    const Place place;
    const auto at = place.directory / "source";
    make_tree(at);
    const auto set = [&at](const char* name, time_t seconds, long nanoseconds) {
        const std::array<timespec, 2> times{timespec{0, UTIME_OMIT},
                                            timespec{seconds, nanoseconds}};
        REQUIRE(::utimensat(AT_FDCWD, (at / name).c_str(), times.data(), 0) == 0);
    };
    const auto get = [](const fs::path& path) {
        struct stat facts {};
        REQUIRE(::stat(path.c_str(), &facts) == 0);
        return std::pair(facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec);
    };
    set("a/b", 1'000'000'000, 123'456'789);
    set("a/c", 0, 0);
    set("run", -5, 7);
    set("zero", 10'000'000'000, 1);  // in 2286
    const Object object(at, true);
    const auto path = place.directory / "out";
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    PartialDirectory output(*store, object.descriptor, object.manifest, object.options(path));
    REQUIRE(output.open().has_value());
    object.give(output);
    REQUIRE(output.finish().has_value());
    CHECK(get(path / "a/b") == std::pair(time_t{1'000'000'000}, 123'456'789L));
    CHECK(get(path / "a/c") == std::pair(time_t{0}, 0L));
    CHECK(get(path / "run") == std::pair(time_t{0}, 0L));
    CHECK(get(path / "zero") == std::pair(time_t{9'223'372'036}, 0L));
}

TEST_CASE("a directory that changed is noticed") {
    const Place place;
    const auto at = place.directory / "source";
    make_tree(at);
    const core::UniqueFd fd(::open(at.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto source = node::DirectorySource::scan(fd.get(), false);
    REQUIRE(source.has_value());
    CHECK((*source)->check_unchanged().has_value());
    Bytes content((*source)->length().value);
    SUBCASE("a file is new") {
        write(at / "new", "x");
    }
    SUBCASE("a file is gone") {
        fs::remove(at / "zero");
    }
    SUBCASE("a directory is not empty any more") {
        write(at / "empty" / "x", "");
    }
    SUBCASE("a file may be executed") {
        fs::permissions(at / "z", fs::perms::owner_all);
    }
    SUBCASE("a file is another one") {
        write(at / "a" / "other", std::string(1000, 'c'));
        fs::rename(at / "a" / "other", at / "a" / "c");
        const auto read = (*source)->read(0, content);
        REQUIRE_FALSE(read.has_value());
        CHECK(read.error().code == Errc::refused);
    }
    const auto unchanged = (*source)->check_unchanged();
    REQUIRE_FALSE(unchanged.has_value());
    CHECK(unchanged.error().code == Errc::refused);
}
