// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "core/layout.hpp"

namespace flow29::core {

/// What turns a root hash into extents. It proves itself: kind, length and the fold of its extents'
/// hashes give the root, so it can come from anybody.
struct Descriptor {
    ObjectKind kind = ObjectKind::file;
    ByteCount length;
    unsigned level = limits::extent_level_auto_min;
    std::vector<ExtentHash> extents;  ///< in order; layout().extents() of them

    bool operator==(const Descriptor&) const = default;

    [[nodiscard]] Layout layout() const { return {length, level}; }
    [[nodiscard]] TreeHash tree() const;
    [[nodiscard]] RootHash root() const;

    /// msgpack array: version 1, kind, length, level, bin of all extent hashes.
    [[nodiscard]] Bytes encode() const;
    /// Whatever root it has. Errc::peer_misbehaved when malformed.
    [[nodiscard]] static Result<Descriptor> parse(ByteView raw);
    /// The same; Errc::verification_failed when it is not `root`'s.
    [[nodiscard]] static Result<Descriptor> decode(ByteView raw, const RootHash& root);
};

/// The DHT key of a node's own record.
[[nodiscard]] DhtKey node_key(const NodeId& node);
/// A node's position in the DHT: the first 20 bytes of its id.
[[nodiscard]] DhtKey dht_position(const NodeId& node);
/// True when `a` is nearer to `target` than `b` by XOR distance.
[[nodiscard]] bool nearer(const DhtKey& target, const DhtKey& a, const DhtKey& b);

}  // namespace flow29::core
