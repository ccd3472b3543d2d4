// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include <flow29/ids.hpp>
#include "core/swarm_key.hpp"

namespace flow29::core {

/// Where in the DHT's key space things lie, which is the same for every node of a swarm.
///
/// In the public swarm a key is the first 20 bytes of SHA-256(domain ‖ hash): whoever has a hash
/// finds it. In a private one it is those of HMAC-SHA256 with a key of the swarm's over the same:
/// nobody else can tell what lies at a key, not even one who has a hash and guesses.
/// Immutable; the default is the public swarm's.
class KeySpace {
  public:
    KeySpace() = default;
    explicit KeySpace(const SwarmKey& key);

    [[nodiscard]] bool is_private() const { return secret_.has_value(); }

    /// The key at which an object's descriptor holders announce themselves, and near which the
    /// descriptor is placed.
    [[nodiscard]] DhtKey root_key(const RootHash& root) const;
    /// Likewise for an extent, or for a single chunk at level 0.
    [[nodiscard]] DhtKey extent_key(const ExtentHash& extent) const;

  private:
    [[nodiscard]] DhtKey key_of(std::string_view domain, ByteView hash) const;

    std::optional<SwarmKey> secret_;  ///< derived, for this purpose only
};

}  // namespace flow29::core
