// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/piece_map.hpp"

#include <doctest/doctest.h>

#include <random>
#include <set>

#include <flow29/limits.hpp>

namespace flow29::proto {
namespace {

constexpr std::uint64_t kib = 1024;

ExtentSet everything(const core::Layout& layout) {
    ExtentSet all(layout.extents());
    all.insert_all(ExtentSet(layout.extents()));
    return all;
}

ByteRange whole(const core::Layout& layout) {
    return {ByteCount(0), layout.length()};
}

std::vector<ChunkRange> take_all(PieceMap& map, const ExtentSet& held) {
    std::vector<ChunkRange> result;
    while (const auto piece = map.first_unasked(held, map.want())) {
        map.take(*piece);
        result.push_back(*piece);
    }
    return result;
}

TEST_CASE("extent set finds the first common member within bounds") {
    for (const std::uint64_t size : {1U, 63U, 64U, 65U, 128U, 200U}) {
        ExtentSet a(size);
        ExtentSet all(size);
        all.insert_all(ExtentSet(size));
        const ExtentIndex last(size - 1);
        CHECK_FALSE(a.first_common(all, ExtentIndex(0), ExtentIndex(size)));
        a.insert(last);
        CHECK(a.contains(last));
        CHECK_FALSE(all.contains(ExtentIndex(size)));
        CHECK(a.first_common(all, ExtentIndex(0), ExtentIndex(size)) == last);
        CHECK(a.first_common(all, last, ExtentIndex(size)) == last);
        CHECK_FALSE(a.first_common(all, ExtentIndex(0), last));
        CHECK_FALSE(a.first_common(all, ExtentIndex(size), ExtentIndex(size)));
        a.erase(last);
        CHECK_FALSE(a.contains(last));
    }
    CHECK_FALSE(ExtentSet(0).contains(ExtentIndex(0)));
}

TEST_CASE("pieces cover what is wanted, once, within extents and on group borders") {
    constexpr std::uint64_t group_chunks = 1ULL << limits::hash_group_level;
    for (const unsigned level : {0U, 3U, 5U, 7U, 11U, 17U}) {
        for (const std::uint64_t length : {1UL, 512UL, 513UL, 100 * kib + 3, 5000 * kib}) {
            for (const std::uint64_t piece_bytes : {16 * kib, 64 * kib, 1024 * kib}) {
                CAPTURE(level);
                CAPTURE(length);
                CAPTURE(piece_bytes);
                const core::Layout layout(ByteCount(length), level);
                if (layout.extents() > limits::extents_per_object_max) continue;
                PieceMap map(layout, whole(layout), {}, ByteCount(piece_bytes));
                CHECK(map.needed() == ByteCount(length));
                ChunkIndex next;
                for (const ChunkRange& piece : take_all(map, everything(layout))) {
                    REQUIRE(piece.first == next);
                    REQUIRE(map.bytes_of(piece).count().value <= piece_bytes);
                    REQUIRE(layout.extent_of(piece.first) ==
                            layout.extent_of(ChunkIndex(piece.last.value - 1)));
                    if (level >= limits::hash_group_level)
                        REQUIRE(piece.first.value % group_chunks == 0);
                    next = piece.last;
                }
                CHECK(next.value == layout.chunks().value);
                CHECK(map.unasked().value == 0);
            }
        }
    }
}

TEST_CASE("what is wanted is widened to chunks and cut at the end of the object") {
    const core::Layout layout(ByteCount(10'000), 2);
    const PieceMap inner(layout, {ByteCount(700), ByteCount(1025)}, {}, ByteCount(16 * kib));
    CHECK(inner.want() == ChunkRange{ChunkIndex(1), ChunkIndex(3)});
    CHECK(inner.needed() == ByteCount(1024));
    const PieceMap beyond(layout, {ByteCount(9'999), ByteCount(99'999)}, {}, ByteCount(16 * kib));
    CHECK(beyond.needed() == ByteCount(10'000 - 19 * 512));
    for (const ByteRange nothing :
         {ByteRange{ByteCount(5), ByteCount(5)}, ByteRange{ByteCount(10'000), ByteCount(20'000)},
          ByteRange{ByteCount(50'000), ByteCount(60'000)}}) {
        const PieceMap map(layout, nothing, {}, ByteCount(16 * kib));
        CHECK(map.needed().value == 0);
        CHECK_FALSE(map.first_unasked(everything(layout), map.want()));
    }
}

TEST_CASE("only chunks that are had as a whole are left out") {
    const core::Layout layout(ByteCount(1300), 0);  // chunks of 512, 512 and 276 bytes
    const auto needed = [&](std::uint64_t first, std::uint64_t last) {
        core::RangeSet have;
        have.insert(first, last);
        return PieceMap(layout, whole(layout), have, ByteCount(16 * kib)).needed().value;
    };
    CHECK(needed(0, 511) == 1300);
    CHECK(needed(0, 512) == 788);
    CHECK(needed(1, 1024) == 788);
    CHECK(needed(1024, 1299) == 1300);
    CHECK(needed(1024, 1300) == 1024);
    CHECK(needed(1023, 1300) == 1024);
    CHECK(needed(0, 1300) == 0);
    CHECK(needed(0, 9999) == 0);
}

TEST_CASE("piece map agrees with a naive model under random taking and giving back") {
    for (unsigned seed = 1; seed <= 30; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        const auto level = static_cast<unsigned>(random() % 9);
        const core::Layout layout(ByteCount(1 + random() % (400 * kib)), level);
        const std::uint64_t chunks = layout.chunks().value;
        core::RangeSet have;
        for (unsigned i = 0; i < random() % 6; ++i) {
            const std::uint64_t first = random() % layout.length().value;
            have.insert(first, first + random() % (50 * kib));
        }
        const std::uint64_t from = random() % layout.length().value;
        const ByteRange want{ByteCount(from), ByteCount(from + random() % (400 * kib))};
        PieceMap map(layout, want, have, ByteCount(16 * kib));

        std::set<std::uint64_t> unasked;
        for (std::uint64_t c = 0; c < chunks; ++c) {
            const ByteRange bytes =
                core::bytes_of({ChunkIndex(c), ChunkIndex(c + 1)}, layout.length());
            const bool wanted = bytes.first < want.last && want.first < bytes.last;
            if (wanted && !have.contains(bytes.first.value, bytes.last.value)) unasked.insert(c);
        }
        std::vector<ChunkRange> taken;
        for (unsigned step = 0; step < 300; ++step) {
            if (random() % 3 == 0 && !taken.empty()) {
                std::swap(taken[random() % taken.size()], taken.back());
                map.give_back(taken.back());
                for (std::uint64_t c = taken.back().first.value; c < taken.back().last.value; ++c)
                    unasked.insert(c);
                taken.pop_back();
            } else {
                ExtentSet held(layout.extents());
                for (std::uint64_t e = 0; e < layout.extents(); ++e)
                    if (random() % 2 == 0) held.insert(ExtentIndex(e));
                const ChunkIndex first = map.cell_start(ChunkIndex(random() % chunks));
                const ChunkIndex last(first.value + random() % (chunks + 1));
                std::optional<std::uint64_t> expected;
                for (const std::uint64_t c : unasked)
                    if (!expected && c >= first.value && c < last.value &&
                        held.contains(layout.extent_of(ChunkIndex(c))))
                        expected = c;
                const auto piece = map.first_unasked(held, {first, last});
                REQUIRE(piece.has_value() == expected.has_value());
                if (!piece) continue;
                REQUIRE(piece->first.value == *expected);
                REQUIRE(map.is_unasked(*piece));
                map.take(*piece);
                REQUIRE_FALSE(map.is_unasked(*piece));
                for (std::uint64_t c = piece->first.value; c < piece->last.value; ++c)
                    REQUIRE(unasked.erase(c) == 1);
                taken.push_back(*piece);
            }
            map.check_invariants();
        }
    }
}

}  // namespace
}  // namespace flow29::proto
