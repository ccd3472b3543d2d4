// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include <flow29/ids.hpp>

namespace flow29::store {

/// CRC-32C of `data` (Castagnoli polynomial, RFC 3720 appendix B.4). Guards against rot, not
/// against anybody. About 0.1 CPU-seconds per GiB.
[[nodiscard]] std::uint32_t crc32c(ByteView data);

/// One CRC-32C per limits::checksum_block_bytes of `data`, the last block possibly short.
[[nodiscard]] std::vector<std::uint32_t> block_checksums(ByteView data);

/// The number of checksum blocks in `length` bytes; also of hash groups, which are as long.
[[nodiscard]] std::uint64_t checksum_blocks(ByteCount length);

}  // namespace flow29::store
