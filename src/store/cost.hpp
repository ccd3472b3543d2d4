// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include <flow29/ids.hpp>
#include <flow29/limits.hpp>
#include "proto/message.hpp"
#include "store/checksum.hpp"

/// What things count for against the capacity, in bytes. Both stores count alike, so that a
/// simulated node fills up when a real one would. A row's figure covers the row, its index entries
/// and the slack of half-full B-tree pages (random inserts leave them 69 % full).
namespace flow29::store::cost {

inline constexpr std::uint64_t inside_bytes_max = 64 * 1024;  ///< larger extents are files
inline constexpr std::uint64_t file_block_bytes = 4096;

inline constexpr std::uint64_t extent_row = 384;
inline constexpr std::uint64_t per_block = limits::hash_bytes + sizeof(std::uint32_t);
inline constexpr std::uint64_t object_row = 512;
inline constexpr std::uint64_t member_row = 160;
inline constexpr std::uint64_t lease_row = 640;
inline constexpr std::uint64_t holder_row = 128;
inline constexpr std::uint64_t node_record_row = 256;
inline constexpr std::uint64_t setting_row = 128;
inline constexpr std::uint64_t fetch_row = 192;

/// The tree and checksums of an extent, with its row.
[[nodiscard]] inline ByteCount of_reference(ByteCount length, std::uint64_t path_bytes) {
    return ByteCount(extent_row + path_bytes + checksum_blocks(length) * per_block);
}
/// The same and its data.
[[nodiscard]] inline ByteCount of_extent(ByteCount length) {
    std::uint64_t data = length.value;
    if (data > inside_bytes_max)
        data = (data + file_block_bytes - 1) / file_block_bytes * file_block_bytes;
    return ByteCount(data) + of_reference(length, 0);
}
/// `bytes` of extents of the usual size or larger: what a reservation sets aside.
[[nodiscard]] inline ByteCount of_content(ByteCount bytes) {
    constexpr std::uint64_t usual = limits::chunk_bytes << limits::extent_level_auto_min;
    return of_extent(bytes) + ByteCount(bytes.value / usual * extent_row);
}
/// An object with its encoded descriptor and the rows that lead from its extents to it.
[[nodiscard]] inline ByteCount of_object(std::uint64_t descriptor_bytes, std::uint64_t extents,
                                         std::uint64_t name_bytes) {
    return ByteCount(object_row + descriptor_bytes + extents * member_row + name_bytes);
}

/// What keeping the items of an invitation takes: data, trees, and the rows that name them, their
/// holders and their lease.
[[nodiscard]] inline ByteCount of_invitation(const std::vector<proto::Invite::Item>& items) {
    ByteCount sum(lease_row);
    for (const auto& [item, length] : items) {
        sum += ByteCount(holder_row);
        sum += item.kind == proto::ItemId::Kind::extent
                   ? of_extent(length)
                   : of_object(length.value, length.value / limits::hash_bytes, 0);
    }
    return sum;
}

[[nodiscard]] inline ByteCount of_fetch(std::uint64_t path_bytes, std::uint64_t intervals) {
    return ByteCount(fetch_row + path_bytes + 2 * sizeof(std::uint64_t) * intervals);
}
[[nodiscard]] inline ByteCount of_setting(std::uint64_t key_bytes, std::uint64_t value_bytes) {
    return ByteCount(setting_row + key_bytes + value_bytes);
}

}  // namespace flow29::store::cost
