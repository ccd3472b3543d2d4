// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/checksum.hpp"

#include <flow29/limits.hpp>
#include "core/assert.hpp"

#include <isa-l/crc.h>

#include <algorithm>

namespace flow29::store {

std::uint32_t crc32c(ByteView data) {
    FLOW29_ASSERT(data.size() <= limits::extent_bytes_max);  // the library takes an int
    // The library neither presets nor inverts the register, which RFC 3720 wants. Its parameter is
    // not const, but it only reads.
    return ~crc32_iscsi(const_cast<unsigned char*>(data.data()), static_cast<int>(data.size()),
                        0xffff'ffffU);
}

std::vector<std::uint32_t> block_checksums(ByteView data) {
    std::vector<std::uint32_t> checksums;
    checksums.reserve(checksum_blocks(ByteCount(data.size())));
    while (!data.empty()) {
        const std::size_t size = std::min<std::size_t>(data.size(), limits::checksum_block_bytes);
        checksums.push_back(crc32c(data.first(size)));
        data = data.subspan(size);
    }
    return checksums;
}

std::uint64_t checksum_blocks(ByteCount length) {
    constexpr std::uint64_t block = limits::checksum_block_bytes;
    return length.value / block + (length.value % block != 0 ? 1 : 0);
}

}  // namespace flow29::store
