// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/ids.hpp>

#include <cstdint>
#include <random>

namespace flow29::core::test {

/// Bytes [first, last) of the endless content of the test vectors (tests/vectors/make_vectors.py).
[[nodiscard]] inline Bytes content(std::uint64_t first, std::uint64_t last) {
    Bytes data(last - first);
    for (std::uint64_t i = first; i < last; ++i)
        data[i - first] = static_cast<std::uint8_t>((i * 2654435761U >> 16) ^ (i >> 24));
    return data;
}

/// An id whose octets come from `seed`: different for every seed.
template <class Id>
[[nodiscard]] Id make_id(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Id id;
    for (auto& byte : id.bytes)
        byte = static_cast<std::uint8_t>(random());
    return id;
}

[[nodiscard]] inline ChunkRange chunks(std::uint64_t first, std::uint64_t last) {
    return {ChunkIndex(first), ChunkIndex(last)};
}

}  // namespace flow29::core::test
