// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/checksum.hpp"
#include <flow29/limits.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string_view>

namespace flow29::store {
namespace {

TEST_CASE("crc32c gives the vectors of RFC 3720 B.4") {
    Bytes block(32, 0);
    CHECK(crc32c(block) == 0x8a9136aaU);
    std::ranges::fill(block, std::uint8_t{0xff});
    CHECK(crc32c(block) == 0x62a8ab43U);
    std::iota(block.begin(), block.end(), std::uint8_t{0});
    CHECK(crc32c(block) == 0x46dd794eU);
    std::ranges::reverse(block);
    CHECK(crc32c(block) == 0x113fdb5cU);
    // The customary check value of the CRC catalogue.
    constexpr std::string_view digits = "123456789";
    CHECK(crc32c(Bytes(digits.begin(), digits.end())) == 0xe3069283U);
}

TEST_CASE("crc32c of nothing is zero") {
    CHECK(crc32c({}) == 0);
}

TEST_CASE("crc32c does not depend on where the data lie in memory") {
    Bytes data(4096 + 16);
    std::iota(data.begin(), data.end(), std::uint8_t{7});
    for (std::size_t size : {1U, 7U, 8U, 63U, 64U, 65U, 1000U, 4096U}) {
        const std::uint32_t expected =
            crc32c(Bytes(data.begin(), data.begin() + std::ptrdiff_t(size)));
        for (std::size_t shift = 0; shift < 16; ++shift) {
            Bytes moved(shift, 0);
            moved.insert(moved.end(), data.begin(), data.begin() + std::ptrdiff_t(size));
            CHECK(crc32c(ByteView(moved).subspan(shift)) == expected);
        }
    }
}

TEST_CASE("block checksums are one per block, the last one short") {
    constexpr std::size_t block = limits::checksum_block_bytes;
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, block - 1, block, block + 1, 2 * block, 2 * block + 1}) {
        Bytes data(size);
        std::iota(data.begin(), data.end(), std::uint8_t{1});
        const auto checksums = block_checksums(data);
        REQUIRE(checksums.size() == checksum_blocks(ByteCount(size)));
        for (std::size_t i = 0; i < checksums.size(); ++i) {
            const std::size_t length = std::min(block, size - i * block);
            CHECK(checksums[i] == crc32c(ByteView(data).subspan(i * block, length)));
        }
    }
}

}  // namespace
}  // namespace flow29::store
