// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/partial_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <fstream>

#include "core/hash.hpp"
#include "core/merkle.hpp"
#include "store/checksum.hpp"

using namespace flow29;
using node::PartialFile;

namespace {

struct Place {
    std::filesystem::path directory =
        std::filesystem::temp_directory_path() / ("flow29-partial-" + std::to_string(::getpid()));
    Place() { std::filesystem::create_directories(directory); }
    ~Place() { std::filesystem::remove_all(directory); }
};

core::Descriptor descriptor_of(ByteView content) {
    core::Descriptor descriptor{ObjectKind::file, ByteCount(content.size()), 11, {}};
    const auto layout = descriptor.layout();
    for (std::uint64_t i = 0; i < layout.extents(); ++i) {
        const auto bytes = layout.extent_bytes(ExtentIndex(i));
        descriptor.extents.push_back(
            core::tree_hash(content.subspan(bytes.first.value, bytes.count().value)));
    }
    return descriptor;
}

node::Piece whole_extent(const core::Descriptor& descriptor, std::uint64_t index) {
    const auto layout = descriptor.layout();
    const auto bytes = layout.extent_bytes(ExtentIndex(index));
    return {ExtentIndex(index),
            {ChunkIndex(0), ChunkIndex(core::chunks_in(bytes.count()).value)},
            bytes};
}

core::VerifiedRange hashes_of(ByteView data) {
    std::vector<ChunkHash> leaves(core::chunks_in(ByteCount(data.size())).value);
    core::leaf_hashes(data, leaves);
    return {leaves, core::group_tops(leaves, limits::hash_group_level)};
}

void give(PartialFile& file, const node::Piece& piece, ByteView content) {
    const auto data = content.subspan(piece.bytes.first.value, piece.bytes.count().value);
    REQUIRE(file.store(piece, data, hashes_of(data)).has_value());
    auto buffer = core::Buffer::copy_of(data);
    file.deliver(piece, buffer);
}

std::string read_all(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a file was changed when it is said to have been") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes content(1 << 20, 7);
    const auto descriptor = descriptor_of(content);
    const FileTime time{std::chrono::nanoseconds(1'000'000'000'123'456'789)};
    PartialFile file(*store, descriptor,
                     {.path = place.directory / "out",
                      .root = descriptor.root(),
                      .range = {ByteCount(0), descriptor.length},
                      .modified = time});
    REQUIRE(file.open().has_value());
    give(file, whole_extent(descriptor, 0), content);
    REQUIRE(file.finish().has_value());
    struct stat facts {};
    REQUIRE(::stat((place.directory / "out").c_str(), &facts) == 0);
    CHECK(facts.st_mtim.tv_sec == 1'000'000'000);
    CHECK(facts.st_mtim.tv_nsec == 123'456'789);
    // A process that writes for another takes any number from it.
    node::LocalFolder folder(place.directory);
    REQUIRE(folder.set_modified("out", FileTime::min()).has_value());
    REQUIRE(::stat((place.directory / "out").c_str(), &facts) == 0);
    CHECK(facts.st_mtim.tv_sec < 0);
}

TEST_CASE("notes do not count once something else was fetched to the same path") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes content(3 << 20, 7);
    const auto descriptor = descriptor_of(content);
    const ByteRange everything{ByteCount(0), descriptor.length};
    const PartialFile::Options options{place.directory / "out", descriptor.root(), everything};
    {
        PartialFile file(*store, descriptor, options);
        REQUIRE(file.open().has_value());
        give(file, whole_extent(descriptor, 0), content);
        give(file, whole_extent(descriptor, 1), content);
        REQUIRE(file.note(file.verified()).has_value());
    }
    SUBCASE("another object") {
        const Bytes other_content(3 << 20, 8);
        const auto other = descriptor_of(other_content);
        PartialFile file(*store, other, {place.directory / "out", other.root(), everything});
        REQUIRE(file.open().has_value());
        CHECK(file.verified().empty());
        give(file, whole_extent(other, 0), other_content);
        REQUIRE(file.note(file.verified()).has_value());
    }
    SUBCASE("another range of the same") {
        PartialFile file(
            *store, descriptor,
            {place.directory / "out", descriptor.root(), {ByteCount(700), descriptor.length}});
        REQUIRE(file.open().has_value());
        // The end lies elsewhere in this layout: what is there is another extent's.
        Bytes garbled = content;
        garbled[4096] ^= 1;
        give(file,
             {ExtentIndex(0), {ChunkIndex(8), ChunkIndex(16)}, {ByteCount(4096), ByteCount(8192)}},
             garbled);
    }
    // What the other one did not write over is known by its hash; and so it is for the attempt
    // after.
    core::RangeSet left;
    left.insert(1 << 20, 2 << 20);
    for (int attempt = 0; attempt < 2; ++attempt) {
        PartialFile file(*store, descriptor, options);
        REQUIRE(file.open().has_value());
        CHECK(file.verified() == left);
    }
}

TEST_CASE("notes of a file that was deleted do not come back when the new one is as long") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes content(3 << 20, 7);
    const auto descriptor = descriptor_of(content);
    const ByteRange everything{ByteCount(0), descriptor.length};
    const PartialFile::Options options{place.directory / "out", descriptor.root(), everything};
    const auto attempt = [&](std::uint64_t extent, bool is_noted) {
        PartialFile file(*store, descriptor, options);
        REQUIRE(file.open().has_value());
        give(file, whole_extent(descriptor, extent), content);
        if (is_noted) REQUIRE(file.note(file.verified()).has_value());
    };
    attempt(0, true);
    std::filesystem::remove(place.directory / "out.flow29-part");
    attempt(2, false);  // before it there is a hole now
    PartialFile file(*store, descriptor, options);
    REQUIRE(file.open().has_value());
    CHECK_FALSE(file.verified().contains(0));
    CHECK(file.verified().contains(2 << 20, 3 << 20));
}

TEST_CASE("an interrupted fetch goes on from what was noted") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes content(2'500'000, 7);
    const auto descriptor = descriptor_of(content);
    const ByteRange everything{ByteCount(0), descriptor.length};
    const PartialFile::Options options{place.directory / "out", descriptor.root(), everything};
    {
        PartialFile file(*store, descriptor, options);
        REQUIRE(file.open().has_value());
        CHECK(file.verified().empty());
        give(file, whole_extent(descriptor, 1), content);
        REQUIRE(file.note(file.verified()).has_value());
    }
    PartialFile file(*store, descriptor, options);
    REQUIRE(file.open().has_value());
    CHECK(file.verified().contains(1 << 20, 2 << 20));
    CHECK(file.verified().size() == 1 << 20);
    give(file, whole_extent(descriptor, 0), content);
    give(file, whole_extent(descriptor, 2), content);
    REQUIRE(file.finish().has_value());
    CHECK(read_all(place.directory / "out") == std::string(content.begin(), content.end()));
    CHECK_FALSE(std::filesystem::exists(place.directory / "out.flow29-part"));
}

TEST_CASE("what a killed process had written without a note is taken up if its hash is right") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    Bytes content(2'500'000, 7);
    const auto descriptor = descriptor_of(content);
    const PartialFile::Options options{
        place.directory / "out", descriptor.root(), {ByteCount(0), descriptor.length}};
    {
        PartialFile file(*store, descriptor, options);
        REQUIRE(file.open().has_value());
        give(file, whole_extent(descriptor, 1), content);
        give(file, whole_extent(descriptor, 2), content);
    }
    {
        // The second extent was torn.
        std::fstream torn(place.directory / "out.flow29-part",
                          std::ios::binary | std::ios::in | std::ios::out);
        torn.seekp((1 << 20) + 5000);
        torn.put('x');
    }
    PartialFile file(*store, descriptor, options);
    REQUIRE(file.open().has_value());
    CHECK(file.verified().contains(2 << 20, content.size()));
    CHECK(file.verified().size() == content.size() - (2 << 20));
}

TEST_CASE("an existing output is not touched unless it may be replaced") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes content(1000, 1);
    const auto descriptor = descriptor_of(content);
    std::ofstream(place.directory / "out") << "precious";
    PartialFile::Options options{
        place.directory / "out", descriptor.root(), {ByteCount(0), descriptor.length}};
    {
        PartialFile file(*store, descriptor, options);
        const auto opened = file.open();
        REQUIRE_FALSE(opened.has_value());
        CHECK(opened.error().code == Errc::exists_already);
    }
    CHECK(read_all(place.directory / "out") == "precious");
    options.overwrite = true;
    PartialFile file(*store, descriptor, options);
    REQUIRE(file.open().has_value());
    give(file, whole_extent(descriptor, 0), content);
    REQUIRE(file.finish().has_value());
    CHECK(read_all(place.directory / "out").size() == 1000);
}

TEST_CASE("an output that appears meanwhile is kept, and so is what was fetched") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes content(1000, 1);
    const auto descriptor = descriptor_of(content);
    PartialFile file(
        *store, descriptor,
        {place.directory / "out", descriptor.root(), {ByteCount(0), descriptor.length}});
    REQUIRE(file.open().has_value());
    give(file, whole_extent(descriptor, 0), content);
    std::ofstream(place.directory / "out") << "precious";
    const auto finished = file.finish();
    REQUIRE_FALSE(finished.has_value());
    CHECK(finished.error().code == Errc::exists_already);
    CHECK(read_all(place.directory / "out") == "precious");
    CHECK(read_all(place.directory / "out.flow29-part").size() == 1000);
}

TEST_CASE("a file that cannot be moved into place leaves no notes, and is known by its hash") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes content(2'500'000, 7);
    const auto descriptor = descriptor_of(content);
    const ByteRange everything{ByteCount(0), descriptor.length};
    const auto path = place.directory / "out";
    const auto partial = place.directory / "out.flow29-part";
    {
        PartialFile file(*store, descriptor, {path, descriptor.root(), everything});
        REQUIRE(file.open().has_value());
        for (std::uint64_t i = 0; i < descriptor.extents.size(); ++i)
            give(file, whole_extent(descriptor, i), content);
        REQUIRE(file.note(file.verified()).has_value());
        std::ofstream(path) << "in the way";
        REQUIRE_FALSE(file.finish().has_value());
    }
    // Whatever ends the process between the two, nothing is beside the file that nobody clears
    // away.
    CHECK_FALSE(std::filesystem::exists(partial.string() + ".log"));
    CHECK(store->fetch_progress(descriptor.root(), partial).empty());
    std::filesystem::remove(path);
    PartialFile again(*store, descriptor, {path, descriptor.root(), everything});
    REQUIRE(again.open().has_value());
    CHECK(again.verified().contains(0, content.size()));
    REQUIRE(again.finish().has_value());
    CHECK(read_all(path).size() == content.size());
}

TEST_CASE("a range is written from the first byte of the file") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    Bytes content(5000);
    for (std::size_t i = 0; i < content.size(); ++i)
        content[i] = static_cast<std::uint8_t>(i / 7);
    const auto descriptor = descriptor_of(content);
    PartialFile file(
        *store, descriptor,
        {place.directory / "out", descriptor.root(), {ByteCount(700), ByteCount(1900)}});
    REQUIRE(file.open().has_value());
    const node::Piece piece{
        ExtentIndex(0), {ChunkIndex(1), ChunkIndex(4)}, {ByteCount(512), ByteCount(2048)}};
    give(file, piece, content);
    REQUIRE(file.finish().has_value());
    CHECK(read_all(place.directory / "out") ==
          std::string(content.begin() + 700, content.begin() + 1900));
}

TEST_CASE("what was fetched whole can be served from where it lies") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes content(2'000'000, 9);
    const auto descriptor = descriptor_of(content);
    PartialFile file(*store, descriptor,
                     {place.directory / "out",
                      descriptor.root(),
                      {ByteCount(0), descriptor.length},
                      false,
                      true});
    REQUIRE(file.open().has_value());
    give(file, whole_extent(descriptor, 0), content);
    give(file, whole_extent(descriptor, 1), content);
    REQUIRE(file.finish().has_value());
    const auto references = file.references();
    REQUIRE(references.size() == 2);
    CHECK(references[0].file == std::filesystem::absolute(place.directory / "out"));
    CHECK(references[1].offset.value == 1 << 20);
    CHECK(core::fold(references[1].group_hashes) == descriptor.extents[1]);
}

TEST_CASE("what came in an earlier attempt is referred to as well, unless it was changed") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    Bytes content(3 << 20, 7);
    for (std::size_t i = 0; i < 3; ++i)
        content[i << 20] = static_cast<std::uint8_t>(i);
    const auto descriptor = descriptor_of(content);
    PartialFile::Options options{
        place.directory / "out", descriptor.root(), {ByteCount(0), descriptor.length}};
    options.share = true;
    {
        PartialFile file(*store, descriptor, options);
        REQUIRE(file.open().has_value());
        give(file, whole_extent(descriptor, 0), content);
        give(file, whole_extent(descriptor, 1), content);
        REQUIRE(file.note(file.verified()).has_value());
    }
    PartialFile file(*store, descriptor, options);
    REQUIRE(file.open().has_value());
    give(file, whole_extent(descriptor, 2), content);
    REQUIRE(file.finish().has_value());
    std::vector<ExtentHash> expected(descriptor.extents);
    SUBCASE("all of it") {}
    SUBCASE("changed since") {
        std::fstream out(place.directory / "out", std::ios::binary | std::ios::in | std::ios::out);
        out.seekp((1 << 20) + 5).put('x');
        expected.erase(expected.begin() + 1);
    }
    std::vector<ExtentHash> found;
    for (const auto& reference : file.references()) {
        found.push_back(reference.hash);
        CHECK(core::fold(reference.group_hashes) == reference.hash);
        CHECK(reference.checksums.size() == store::checksum_blocks(reference.length));
    }
    CHECK(found == expected);
}

TEST_CASE("a name as long as names may be is fetched under its own name, and resumed") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes content(3 << 20, 7);
    const auto descriptor = descriptor_of(content);
    const ByteRange everything{ByteCount(0), descriptor.length};
    // Also one that is cut inside a character.
    for (const std::string& name :
         {std::string(255, 'n'), std::string(239, 'n'), "x" + std::string(254, '\xc3')}) {
        const PartialFile::Options options{place.directory / name, descriptor.root(), everything};
        {
            PartialFile file(*store, descriptor, options);
            REQUIRE(file.open().has_value());
            give(file, whole_extent(descriptor, 0), content);
        }
        PartialFile file(*store, descriptor, options);
        REQUIRE(file.open().has_value());
        CHECK(file.verified().contains(0, 1 << 20));
        for (std::uint64_t i = 1; i < 3; ++i)
            give(file, whole_extent(descriptor, i), content);
        REQUIRE(file.finish().has_value());
        CHECK(read_all(place.directory / name).size() == content.size());
    }
}

TEST_CASE("of a large file only what was written is read when a fetch goes on") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes extent(1 << 20, 7);
    core::Descriptor descriptor{ObjectKind::file, ByteCount(96 << 20), 11, {}};
    descriptor.extents.assign(96, core::tree_hash(extent));
    const PartialFile::Options options{
        place.directory / "out", descriptor.root(), {ByteCount(0), descriptor.length}};
    {
        PartialFile file(*store, descriptor, options);
        REQUIRE(file.open().has_value());
        give(file, whole_extent(descriptor, 0), Bytes(96 << 20, 7));
    }
    const auto path = place.directory / "out.flow29-part";
    {
        std::fstream torn(path, std::ios::binary | std::ios::in | std::ios::out);
        torn.seekp((40 << 20) + 5000);
        torn.write("not all of an extent", 20);
    }
    // What is read of room that was only taken counts as written from then on.
    const auto written = [&path] {
        const int fd = ::open(path.c_str(), O_RDONLY);
        std::int64_t octets = 0;
        std::int64_t end = 0;
        for (;;) {
            const auto begin = ::lseek(fd, end, SEEK_DATA);
            if (begin < 0) break;
            end = ::lseek(fd, begin, SEEK_HOLE);
            octets += end - begin;
        }
        ::close(fd);
        return octets;
    };
    const auto before = written();
    for (int attempt = 0; attempt < 2; ++attempt) {
        PartialFile file(*store, descriptor, options);
        REQUIRE(file.open().has_value());
        CHECK(file.verified().size() == extent.size());
        CHECK(written() == before);
    }
}

TEST_CASE("what is large takes its room before the first byte, and once") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes extent(1 << 20, 7);
    core::Descriptor descriptor{ObjectKind::file, ByteCount(96 << 20), 11, {}};
    descriptor.extents.assign(96, core::tree_hash(extent));
    const ByteRange everything{ByteCount(0), descriptor.length};
    const auto taken = [&] {
        struct stat status {};
        REQUIRE(::stat((place.directory / "out.flow29-part").c_str(), &status) == 0);
        return static_cast<std::uint64_t>(status.st_blocks) * 512;
    };
    const int probe = ::open(place.directory.c_str(), O_TMPFILE | O_RDWR, 0600);
    const bool can_take = probe >= 0 && ::fallocate(probe, 0, 0, 4096) == 0;
    if (probe >= 0) ::close(probe);
    for (const bool again : {false, true}) {
        CAPTURE(again);
        PartialFile file(*store, descriptor,
                         {place.directory / "out", descriptor.root(), everything});
        REQUIRE(file.open().has_value());
        CHECK(file.verified().size() == (again ? extent.size() : 0));
        if (can_take) CHECK(taken() >= descriptor.length.value);
        CHECK(taken() < 2 * descriptor.length.value);
        if (again) break;
        const auto piece = whole_extent(descriptor, 5);
        REQUIRE(file.store(piece, extent, hashes_of(extent)).has_value());
    }
}

TEST_CASE("where nothing came, the room that was taken is given back") {
    const Place place;
    const auto store = store::make_memory_store(ByteCount(1 << 30));
    const Bytes extent(1 << 20, 7);
    core::Descriptor descriptor{ObjectKind::file, ByteCount(96 << 20), 11, {}};
    descriptor.extents.assign(96, core::tree_hash(extent));
    const ByteRange everything{ByteCount(0), descriptor.length};
    const auto partial = place.directory / "out.flow29-part";
    const PartialFile::Options options{place.directory / "out", descriptor.root(), everything};
    {
        PartialFile file(*store, descriptor, options);
        REQUIRE(file.open().has_value());
        REQUIRE(file.leave(file.verified()).has_value());
        CHECK(std::filesystem::file_size(partial) == 0);
    }
    PartialFile file(*store, descriptor, options);
    REQUIRE(file.open().has_value());
    give(file, whole_extent(descriptor, 0), extent);
    REQUIRE(file.leave(file.verified()).has_value());
    CHECK(std::filesystem::file_size(partial) >= extent.size());
}
