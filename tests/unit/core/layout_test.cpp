// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/layout.hpp"
#include "aborts.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace flow29;
using namespace flow29::core;
using test::chunks;

namespace {

constexpr std::uint64_t KiB = 1024;
constexpr std::uint64_t MiB = 1024 * KiB;
constexpr std::uint64_t GiB = 1024 * MiB;
constexpr std::uint64_t length_top = ~std::uint64_t{0};

ByteRange bytes(std::uint64_t first, std::uint64_t last) {
    return {ByteCount(first), ByteCount(last)};
}

}  // namespace

TEST_CASE("chunks_in rounds up and does not overflow") {
    CHECK(chunks_in(ByteCount(0)).value == 0);
    CHECK(chunks_in(ByteCount(1)).value == 1);
    CHECK(chunks_in(ByteCount(511)).value == 1);
    CHECK(chunks_in(ByteCount(512)).value == 1);
    CHECK(chunks_in(ByteCount(513)).value == 2);
    CHECK(chunks_in(ByteCount(length_top)).value == 1ULL << 55);
}

TEST_CASE("the default extent level grows with the length between its bounds") {
    const auto level = [](std::uint64_t length) { return default_extent_level(ByteCount(length)); };
    CHECK(level(0) == 11);
    CHECK(level(1) == 11);
    CHECK(level(256 * MiB) == 11);
    CHECK(level(256 * MiB + 1) == 12);
    CHECK(level(512 * MiB) == 12);
    CHECK(level(512 * MiB + 1) == 13);
    CHECK(level(GiB) == 13);
    CHECK(level(8 * GiB) == 16);
    CHECK(level(8 * GiB + 1) == 17);
    CHECK(level(16 * GiB) == 17);
    CHECK(level(16 * GiB + 1) == 17);
    CHECK(level(length_top) == 17);
}

TEST_CASE("the default extent level is the formula of the format") {
    for (std::uint64_t length = 3; length < (1ULL << 45); length = length * 5 / 3) {
        const double n = std::ceil(static_cast<double>(length) / 512.0);
        const double level = std::ceil(std::log2(n / 256.0));
        CHECK(default_extent_level(ByteCount(length)) ==
              static_cast<unsigned>(std::clamp(level, 11.0, 17.0)));
    }
}

TEST_CASE("at the default level an object up to 16 GiB has at most 256 extents") {
    for (const std::uint64_t length : {256 * MiB, 256 * MiB + 1, GiB - 1, GiB, GiB + 1, 16 * GiB}) {
        const Layout layout(ByteCount(length), default_extent_level(ByteCount(length)));
        CHECK(layout.extents() > 128);
        CHECK(layout.extents() <= 256);
    }
}

TEST_CASE("an empty object has neither chunks nor extents") {
    const Layout layout(ByteCount(0), 11);
    CHECK(layout.chunks().value == 0);
    CHECK(layout.extents() == 0);
    CHECK(test::aborts([&] { (void)layout.extent_bytes(ExtentIndex(0)); }));
    CHECK(test::aborts([&] { (void)layout.extent_of(ByteCount(0)); }));
}

TEST_CASE("a layout does not take a level above the highest") {
    CHECK_FALSE(test::aborts([] { Layout(ByteCount(1), limits::extent_level_max); }));
    CHECK(test::aborts([] { Layout(ByteCount(1), limits::extent_level_max + 1); }));
}

TEST_CASE("extents tile the object without gap or overlap") {
    for (const unsigned level : {0U, 1U, 2U, 11U, 17U}) {
        const std::uint64_t full = 512ULL << level;
        for (const std::uint64_t length : {1UL, 511UL, 512UL, 513UL, full - 1, full, full + 1,
                                           3 * full - 1, 3 * full, 3 * full + 1}) {
            CAPTURE(level);
            CAPTURE(length);
            const Layout layout(ByteCount(length), level);
            std::uint64_t byte = 0;
            std::uint64_t chunk = 0;
            for (std::uint64_t i = 0; i < layout.extents(); ++i) {
                const ByteRange b = layout.extent_bytes(ExtentIndex(i));
                const ChunkRange c = layout.extent_chunks(ExtentIndex(i));
                CHECK_FALSE(b.empty());
                CHECK(b.first.value == byte);
                CHECK(c.first.value == chunk);
                CHECK(b.count() == layout.extent_length(ExtentIndex(i)));
                CHECK(layout.extent_of(b.first).value == i);
                CHECK(layout.extent_of(ByteCount(b.last.value - 1)).value == i);
                CHECK(layout.extent_of(c.first).value == i);
                CHECK(layout.extent_of(ChunkIndex(c.last.value - 1)).value == i);
                if (i + 1 < layout.extents()) CHECK(b.count().value == full);
                byte = b.last.value;
                chunk = c.last.value;
            }
            CHECK(byte == length);
            CHECK(chunk == layout.chunks().value);
            CHECK(test::aborts([&] { (void)layout.extent_of(ByteCount(length)); }));
            CHECK(test::aborts([&] { (void)layout.extent_of(ChunkIndex(chunk)); }));
        }
    }
}

TEST_CASE("bytes_of ends a short last chunk at the length") {
    CHECK(bytes_of(chunks(0, 1), ByteCount(1)) == bytes(0, 1));
    CHECK(bytes_of(chunks(0, 2), ByteCount(1024)) == bytes(0, 1024));
    CHECK(bytes_of(chunks(1, 2), ByteCount(1023)) == bytes(512, 1023));
    CHECK(bytes_of(chunks(1, 3), ByteCount(1025)) == bytes(512, 1025));
    CHECK(bytes_of(chunks(0, 0), ByteCount(0)) == bytes(0, 0));
    CHECK(bytes_of(chunks(3, 3), ByteCount(1025)) == bytes(1025, 1025));
    CHECK(bytes_of(chunks((1ULL << 55) - 1, 1ULL << 55), ByteCount(length_top)) ==
          bytes(length_top - 511, length_top));
}

TEST_CASE("bytes_of does not take a range outside the object or backwards") {
    CHECK(test::aborts([] { (void)bytes_of(chunks(0, 2), ByteCount(512)); }));
    CHECK(test::aborts([] { (void)bytes_of(chunks(0, 1), ByteCount(0)); }));
    CHECK(test::aborts([] { (void)bytes_of(chunks(2, 1), ByteCount(2048)); }));
}

TEST_CASE("chunks_covering is the smallest cover") {
    CHECK(chunks_covering(bytes(0, 1)) == chunks(0, 1));
    CHECK(chunks_covering(bytes(0, 512)) == chunks(0, 1));
    CHECK(chunks_covering(bytes(0, 513)) == chunks(0, 2));
    CHECK(chunks_covering(bytes(511, 512)) == chunks(0, 1));
    CHECK(chunks_covering(bytes(511, 513)) == chunks(0, 2));
    CHECK(chunks_covering(bytes(512, 513)) == chunks(1, 2));
    CHECK(chunks_covering(bytes(0, length_top)) == chunks(0, 1ULL << 55));
    CHECK(chunks_covering(bytes(5, 5)).empty());
    CHECK(chunks_covering(bytes(0, 0)).empty());
}
