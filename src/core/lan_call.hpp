// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include <flow29/ids.hpp>

#include "core/swarm_key.hpp"

namespace flow29::core {

/// A number that is used once, so that no call is like another.
using LanNonce = FixedBytes<struct LanNonceTag, 16>;

/// What a node calls out on its LAN, so that others of its swarm find it without being told:
///
///     "F29L" | version (1) | nonce (16) | port (2) | HMAC-SHA256 of all that, the first 16 octets
///
/// The key of the HMAC follows from the swarm's. So a call says nothing of the swarm to whoever is
/// not in it, not even that two calls are of the same one. It says where a node is; who plays it
/// back from elsewhere is dialled, and fails to prove that it is a member.
struct LanCall {
    LanNonce nonce;
    std::uint16_t port = 0;  ///< of the node; its address is where the call comes from

    bool operator==(const LanCall&) const = default;
};

/// Makes and recognises the calls of one swarm.
class LanCaller {
  public:
    /// Of a private swarm with this key, else of the public one with that number.
    LanCaller(const std::optional<SwarmKey>& key, std::uint32_t network);

    [[nodiscard]] Bytes encode(const LanCall& call) const;
    /// Nothing unless a member of the swarm made it.
    [[nodiscard]] std::optional<LanCall> decode(ByteView raw) const;

  private:
    Bytes key_;
};

}  // namespace flow29::core
