// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/cost.hpp"
#include "support.hpp"

#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

namespace flow29::store::test {
namespace {

const std::vector<std::size_t>& sizes() {
    static const std::vector<std::size_t> sizes = {1,     511,   512,   513,    1024,
                                                   16383, 16384, 16385, 65535,  65536,
                                                   65537, 81920, 99999, 262144, 1048576 + 700};
    return sizes;
}

void write_file(const fs::path& path, ByteView data) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(data.data()),
               static_cast<std::streamsize>(data.size()));
    REQUIRE(file.good());
}

TEST_CASE_TEMPLATE("a stored extent reads back in any range with its proof", Stored, InMemory,
                   OnDisk) {
    Stored store;
    std::mt19937_64 random(29);
    for (const std::size_t size : sizes()) {
        CAPTURE(size);
        REQUIRE(store->put_extents(one(make_extent(size, size))));
        const NewExtent extent = make_extent(size, size);
        REQUIRE(store->has_extent(extent.hash));
        REQUIRE(store->extent_length(extent.hash) == ByteCount(size));
        const std::uint64_t count = core::chunks_in(ByteCount(size)).value;
        require_readable(*store, extent);
        require_readable(*store, extent, chunks(0, 1));
        require_readable(*store, extent, chunks(count - 1, count));
        for (int i = 0; i < 12; ++i) {
            const std::uint64_t first = random() % count;
            const std::uint64_t last = first + 1 + random() % (count - first);
            require_readable(*store, extent, chunks(first, last));
            const std::uint64_t border = first / 32 * 32;
            require_readable(*store, extent, chunks(border, std::min(border + 32, count)));
        }
        REQUIRE(store->scrub(extent.hash));
    }
    CHECK(store->usage().extents == sizes().size());
}

TEST_CASE_TEMPLATE("an extent that comes in pieces is the one that comes whole", Stored, InMemory,
                   OnDisk) {
    Stored store;
    constexpr std::size_t block = limits::checksum_block_bytes;
    for (const std::size_t size : {2 * block, 3 * block + 1, 40 * block, 40 * block + 700}) {
        CAPTURE(size);
        const NewExtent whole = make_extent(size, size);
        NewExtent pieces = make_extent(size, size);
        const ByteView view = whole.data.view();
        const std::size_t first = size / block / 2 * block;
        pieces.data = core::Buffer::copy_of(view.first(first));
        pieces.rest.push_back(core::Buffer::copy_of(view.subspan(first, block)));
        if (size > first + block)
            pieces.rest.push_back(core::Buffer::copy_of(view.subspan(first + block)));
        CHECK(pieces.length() == ByteCount(size));
        if (size > 3 * block) pieces.checksums = block_checksums(view);
        REQUIRE(store->put_extents(one(std::move(pieces))));
        require_readable(*store, whole);
        REQUIRE(store->scrub(whole.hash));
    }
}

TEST_CASE_TEMPLATE("a range outside the extent is refused", Stored, InMemory, OnDisk) {
    Stored store;
    for (const std::size_t size : {std::size_t{1000}, std::size_t{100'000}}) {
        const ExtentHash hash = make_extent(1, size).hash;
        REQUIRE(store->put_extents(one(make_extent(1, size))));
        const std::uint64_t count = core::chunks_in(ByteCount(size)).value;
        CHECK(code_of(store->read(hash, chunks(0, count + 1))) == Errc::refused);
        CHECK(code_of(store->read(hash, chunks(count, count + 1))) == Errc::refused);
        CHECK(code_of(store->read(hash, chunks(1, 1))) == Errc::refused);
        CHECK(code_of(store->read(hash, chunks(0, ~std::uint64_t{0}))) == Errc::refused);
        CHECK(store->has_extent(hash));
    }
}

TEST_CASE_TEMPLATE("an unknown extent is not found", Stored, InMemory, OnDisk) {
    Stored store;
    const auto hash = make_id<ExtentHash>(1);
    CHECK_FALSE(store->has_extent(hash));
    CHECK(code_of(store->read(hash, chunks(0, 1))) == Errc::not_found);
    CHECK(code_of(store->extent_length(hash)) == Errc::not_found);
    CHECK(code_of(store->scrub(hash)) == Errc::not_found);
}

TEST_CASE_TEMPLATE("extents already held, or twice in one batch, count once", Stored, InMemory,
                   OnDisk) {
    Stored store;
    std::vector<NewExtent> batch;
    for (const std::size_t size : {std::size_t{700}, std::size_t{70'000}}) {
        batch.push_back(make_extent(size, size));
        batch.push_back(make_extent(size, size));
    }
    REQUIRE(store->put_extents(std::move(batch)));
    const Usage usage = store->usage();
    CHECK(usage.extents == 2);
    CHECK(usage.used == cost::of_extent(ByteCount(700)) + cost::of_extent(ByteCount(70'000)));
    REQUIRE(store->put_extents(one(make_extent(700, 700))));
    REQUIRE(store->put_extents(one(make_extent(70'000, 70'000))));
    REQUIRE(store->put_extents({}));
    CHECK(store->usage().used == usage.used);
    CHECK(store->usage().extents == 2);
}

TEST_CASE_TEMPLATE("a referenced extent is served from the file outside", Stored, InMemory,
                   OnDisk) {
    Stored store;
    const TemporaryDirectory outside;
    const fs::path file = outside.path() / "film \xff\n.mkv";
    for (const std::size_t size : {std::size_t{1}, std::size_t{16'384}, std::size_t{150'000}}) {
        const NewExtent extent = make_extent(size, size);
        core::Buffer whole(size + 1000);
        std::memset(whole.data(), 7, whole.size());
        std::memcpy(whole.data() + 600, extent.data.data(), size);
        write_file(file, whole.view());
        ExtentReference reference = reference_to(file, extent);
        reference.offset = ByteCount(600);
        REQUIRE(store->put_references({reference, reference}));
        CHECK(store->extent_length(extent.hash) == ByteCount(size));
        require_readable(*store, extent);
        require_readable(*store, extent, chunks(0, 1));
        CHECK(store->scrub(extent.hash));
        CHECK(store->usage().used.value < size + 1'000 + 4'096);
    }
    CHECK(store->usage().extents == 3);
}

TEST_CASE_TEMPLATE("a reference is dropped when its file is gone, short or changed", Stored,
                   InMemory, OnDisk) {
    Stored store;
    const TemporaryDirectory outside;
    const fs::path file = outside.path() / "file";
    const NewExtent extent = make_extent(3, 40'000);
    const auto refer = [&] {
        write_file(file, extent.data.view());
        REQUIRE(store->put_references({reference_to(file, extent)}));
        require_readable(*store, extent);
    };
    const auto check_dropped = [&] {
        const auto slice = store->read(extent.hash, all_chunks(40'000));
        REQUIRE(code_of(slice) == Errc::corrupt_store);
        CHECK(slice.error().context.find(to_hex(extent.hash)) != std::string::npos);
        CHECK_FALSE(store->has_extent(extent.hash));
        CHECK(store->usage().used == ByteCount(0));
        CHECK(store->usage().extents == 0);
        CHECK(code_of(store->read(extent.hash, chunks(0, 1))) == Errc::not_found);
    };

    refer();
    fs::remove(file);
    check_dropped();

    refer();
    fs::resize_file(file, 39'999);
    check_dropped();

    refer();
    fs::remove(file);
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    check_dropped();
    fs::remove(file);

    refer();
    fs::remove(file);
    fs::create_directory(file);
    check_dropped();
    fs::remove(file);

    for (std::size_t at = 0; at < extent.data.size(); at += 100) {
        refer();
        core::Buffer changed = core::Buffer::copy_of(extent.data.view());
        changed.data()[at] ^= 0x10;
        write_file(file, changed.view());
        // Blocks that were not touched are still right.
        const std::uint64_t block = at / limits::checksum_block_bytes;
        if (block != 0) require_readable(*store, extent, chunks(0, 32 * block));
        check_dropped();
    }
}

TEST_CASE_TEMPLATE("scrub finds what checksums cannot", Stored, InMemory, OnDisk) {
    Stored store;
    const TemporaryDirectory outside;
    const fs::path file = outside.path() / "file";
    NewExtent extent = make_extent(4, 50'000);
    // Right checksums of wrong data: as if both had been changed together.
    ExtentReference reference = reference_to(file, extent);
    extent.data.data()[20'000] ^= 1;
    reference.checksums = block_checksums(extent.data.view());
    write_file(file, extent.data.view());
    REQUIRE(store->put_references({reference}));
    CHECK(store->file_of(extent.hash) == file);
    CHECK(store->read(extent.hash, chunks(0, 1)));
    CHECK(code_of(store->scrub(extent.hash)) == Errc::corrupt_store);
    CHECK_FALSE(store->has_extent(extent.hash));
    CHECK_FALSE(store->file_of(extent.hash));
    const NewExtent own = make_extent(5, 50'000);
    REQUIRE(store->put_extents(one(extent_of(core::Buffer::copy_of(own.data.view())))));
    CHECK(store->has_extent(own.hash));
    CHECK_FALSE(store->file_of(own.hash));
}

TEST_CASE_TEMPLATE("readers, writers and a collector may run at once", Stored, InMemory, OnDisk) {
    Stored store;
    constexpr unsigned kinds = 6;
    std::vector<NewExtent> extents;
    for (unsigned kind = 0; kind < kinds; ++kind)
        extents.push_back(make_extent(kind, kind % 2 == 0 ? 5'000 : 70'000));

    std::atomic<unsigned> wrong{0};
    const auto work = [&](unsigned seed) {
        std::mt19937_64 random(seed);
        for (int i = 0; i < 60; ++i) {
            const NewExtent& extent = extents[random() % kinds];
            switch (random() % 4) {
                case 0:
                    if (!store->put_extents(
                            one(extent_of(core::Buffer::copy_of(extent.data.view())))))
                        ++wrong;
                    break;
                case 1:
                    if (!store->collect(WallTime{})) ++wrong;
                    break;
                default: {
                    const auto slice = store->read(extent.hash, all_chunks(extent.data.size()));
                    const bool right =
                        slice ? std::ranges::equal(slice->data.view(), extent.data.view())
                              : slice.error().code == Errc::not_found;
                    if (!right) ++wrong;
                }
            }
        }
    };
    std::vector<std::jthread> threads;
    for (unsigned seed = 0; seed < 4; ++seed)
        threads.emplace_back(work, seed);
    threads.clear();
    CHECK(wrong == 0);

    REQUIRE(store->collect(WallTime{}));
    CHECK(store->usage().used == ByteCount(0));
    for (const NewExtent& extent : extents) {
        REQUIRE(store->put_extents(one(extent_of(core::Buffer::copy_of(extent.data.view())))));
        require_readable(*store, extent);
    }
}

TEST_CASE("memory stores with one pool keep an extent once") {
    const auto pool = make_extent_pool();
    const auto first = make_memory_store(default_capacity, {.pool = pool});
    auto second = make_memory_store(default_capacity, {.pool = pool});
    const NewExtent extent = make_extent(5, 30'000);
    REQUIRE(first->put_extents(one(make_extent(5, 30'000))));
    REQUIRE(second->put_extents(one(make_extent(5, 30'000))));
    CHECK(first->usage().used == second->usage().used);
    REQUIRE(first->collect(WallTime{}));
    CHECK_FALSE(first->has_extent(extent.hash));
    require_readable(*second, extent);
    second.reset();
    REQUIRE(first->put_extents(one(make_extent(5, 30'000))));
    require_readable(*first, extent);
}

}  // namespace
}  // namespace flow29::store::test
