// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>

#include <flow29/ids.hpp>
#include <flow29/limits.hpp>

namespace flow29::core {

/// SHA-256(prefix ‖ part) of the first ones of the whole parts of `part_bytes` octets (at most 512)
/// that `data` consists of, into consecutive 32 octets of `out`, which may be where `data` begins
/// when a part has at least 64 octets. Returns of how many: as many as are faster hashed side by
/// side than one after the other. The rest, none of them or all, is the caller's.
///
/// With libIPSec_MB, which hashes 16 messages at once in AVX-512 registers, 8 in AVX2's, or 2 with
/// the SHA extensions; 0 of them in a build without it.
[[nodiscard]] std::size_t hash_parts(std::uint8_t prefix, ByteView data, std::size_t part_bytes,
                                     std::span<std::uint8_t> out);

}  // namespace flow29::core
