// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flow29 {

/// An owned run of octets.
using Bytes = std::vector<std::uint8_t>;
/// A borrowed run of octets; never stored beyond the call that receives it.
using ByteView = std::span<const std::uint8_t>;

/// A fixed-size octet string whose meaning is part of its type.
/// `Tag` separates hashes of different things; `Size` is in bytes.
template <class Tag, std::size_t Size>
struct FixedBytes {
    static constexpr std::size_t size = Size;

    std::array<std::uint8_t, Size> bytes{};

    bool operator==(const FixedBytes&) const = default;
    /// As octet strings. The first eight nearly always decide.
    std::strong_ordering operator<=>(const FixedBytes& other) const {
        if (const auto order = head() <=> other.head(); order != 0) return order;
        return bytes <=> other.bytes;
    }

    /// The octets, valid while this object lives.
    [[nodiscard]] ByteView view() const { return {bytes.data(), bytes.size()}; }

    /// Nothing unless `raw` is exactly `Size` octets.
    [[nodiscard]] static std::optional<FixedBytes> from(ByteView raw) {
        if (raw.size() != Size) return std::nullopt;
        FixedBytes result;
        std::memcpy(result.bytes.data(), raw.data(), Size);
        return result;
    }

    /// True when every octet is zero: the value of a default-constructed object.
    [[nodiscard]] bool is_zero() const { return *this == FixedBytes{}; }

  private:
    [[nodiscard]] std::uint64_t head() const {
        static_assert(Size >= 8);
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < 8; ++i)
            value = value << 8 | bytes[i];
        return value;
    }
};

/// The 32-byte name of an object: commits to its kind, length and content.
using RootHash = FixedBytes<struct RootHashTag, 32>;
/// A node of the Merkle tree. A chunk's hash and an extent's hash are such nodes (a leaf, and the
/// top of a complete subtree), so the three share one type and any level can be chosen.
using TreeHash = FixedBytes<struct TreeHashTag, 32>;
using ChunkHash = TreeHash;
using ExtentHash = TreeHash;
/// SHA-256 of a node's Ed25519 public key in DER SubjectPublicKeyInfo form.
using NodeId = FixedBytes<struct NodeIdTag, 32>;
/// A raw Ed25519 public key (RFC 8032).
using PublicKey = FixedBytes<struct PublicKeyTag, 32>;
/// A raw Ed25519 signature (RFC 8032).
using Signature = FixedBytes<struct SignatureTag, 64>;
/// A position in the DHT's 160-bit key space.
using DhtKey = FixedBytes<struct DhtKeyTag, 20>;

/// An unsigned 64-bit quantity whose unit is part of its type.
template <class Tag>
struct Quantity {
    std::uint64_t value = 0;

    constexpr Quantity() = default;
    constexpr explicit Quantity(std::uint64_t v) : value(v) {}

    auto operator<=>(const Quantity&) const = default;
    constexpr Quantity operator+(Quantity other) const { return Quantity(value + other.value); }
    constexpr Quantity operator-(Quantity other) const { return Quantity(value - other.value); }
    constexpr Quantity& operator+=(Quantity other) {
        value += other.value;
        return *this;
    }
    constexpr Quantity& operator-=(Quantity other) {
        value -= other.value;
        return *this;
    }
};

/// A number of octets.
using ByteCount = Quantity<struct ByteCountTag>;
/// A number of 512-byte chunks.
using ChunkCount = Quantity<struct ChunkCountTag>;
/// The position of a chunk, counted from 0, within a file or within an extent (the name says
/// which).
using ChunkIndex = Quantity<struct ChunkIndexTag>;
/// The position of an extent within its object, counted from 0.
using ExtentIndex = Quantity<struct ExtentIndexTag>;

/// Half-open run of chunks [first, last).
struct ChunkRange {
    ChunkIndex first;
    ChunkIndex last;

    auto operator<=>(const ChunkRange&) const = default;
    [[nodiscard]] constexpr ChunkCount count() const {
        return ChunkCount(last.value - first.value);
    }
    [[nodiscard]] constexpr bool empty() const { return last.value <= first.value; }
};

/// Half-open run of octets [first, last) within an object.
struct ByteRange {
    ByteCount first;
    ByteCount last;

    auto operator<=>(const ByteRange&) const = default;
    [[nodiscard]] constexpr ByteCount count() const { return last - first; }
    [[nodiscard]] constexpr bool empty() const { return last.value <= first.value; }
};

/// What an object is. The value enters the root hash, so it never changes.
enum class ObjectKind : std::uint8_t {
    file = 0,
    directory = 1,
    encrypted = 2,  ///< a private one; which it is, its key says
};

/// Lower-case hexadecimal.
[[nodiscard]] std::string to_hex(ByteView raw);
/// Nothing unless `text` is an even number of hexadecimal digits, either case.
[[nodiscard]] std::optional<Bytes> from_hex(std::string_view text);

template <class Tag, std::size_t Size>
[[nodiscard]] std::string to_hex(const FixedBytes<Tag, Size>& id) {
    return to_hex(id.view());
}

/// Nothing unless `text` is exactly the hexadecimal digits of an `Id`.
template <class Id>
[[nodiscard]] std::optional<Id> id_from_hex(std::string_view text) {
    const auto raw = from_hex(text);
    if (!raw) return std::nullopt;
    return Id::from(*raw);
}

}  // namespace flow29

/// Ids are outputs of a cryptographic hash, or keys, so their first octets are already well mixed.
template <class Tag, std::size_t Size>
struct std::hash<flow29::FixedBytes<Tag, Size>> {
    std::size_t operator()(const flow29::FixedBytes<Tag, Size>& id) const noexcept {
        std::size_t mixed = 0;
        static_assert(Size >= sizeof mixed);
        std::memcpy(&mixed, id.bytes.data(), sizeof mixed);
        return mixed;
    }
};

template <class Tag>
struct std::hash<flow29::Quantity<Tag>> {
    std::size_t operator()(flow29::Quantity<Tag> quantity) const noexcept {
        return std::hash<std::uint64_t>{}(quantity.value);
    }
};
