// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <initializer_list>
#include <memory>

#include <flow29/ids.hpp>

namespace flow29::core {

using Sha256Digest = std::array<std::uint8_t, 32>;

/// Incremental SHA-256 (FIPS 180-4). Not thread-safe; reusable after `finish`.
class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void update(ByteView data);
    /// The digest of everything since construction or the last `finish`, and starts anew.
    [[nodiscard]] Sha256Digest finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// SHA-256 of the concatenation of `parts`.
[[nodiscard]] Sha256Digest sha256(std::initializer_list<ByteView> parts);

/// SHA-256(0x00 ‖ chunk). `chunk` is 1 to 512 bytes.
[[nodiscard]] ChunkHash leaf_hash(ByteView chunk);
/// SHA-256(0x01 ‖ left ‖ right).
[[nodiscard]] TreeHash node_hash(const TreeHash& left, const TreeHash& right);
/// SHA-256 of nothing: the tree of an empty file.
[[nodiscard]] TreeHash empty_tree_hash();
/// SHA-256(0x02 ‖ kind ‖ length as 8 bytes big-endian ‖ tree).
[[nodiscard]] RootHash root_hash(ObjectKind kind, ByteCount length, const TreeHash& tree);

/// The leaf hashes of consecutive chunks of `data`, the last one possibly short, into `out`.
/// `out` has room for ceil(data.size() / 512) hashes. Many at a time are hashed side by side where
/// the processor can: see docs/decisions/0010.
void leaf_hashes(ByteView data, std::span<ChunkHash> out);
/// out[i] = node_hash(nodes[2i], nodes[2i + 1]) for every whole pair of `nodes`. `out` has room for
/// as many, and may be where `nodes` begins.
void node_hashes(std::span<const TreeHash> nodes, std::span<TreeHash> out);

/// HMAC-free key derivation for places in the DHT: first 20 bytes of SHA-256(domain ‖ id).
[[nodiscard]] DhtKey dht_key(std::string_view domain, ByteView id);

}  // namespace flow29::core
