// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/seal.hpp"
#include "net/runtime.hpp"

namespace flow29::net {

/// What a private swarm wants to see of a connection before it says anything, shared by all
/// connections of a transport. On the executor's thread only.
///
///     client                                    server
///     knock (58) | ClientHello       ──>        opens the knock, or closes without a word
///                                    <──        answer (32) | ServerHello … Finished
///     Finished | proof | Hello …     ──>        checks the proof, or closes
///                                    <──        proof | Hello …
///
/// The *knock* is a sealed message without payload: only a member can make it, it is for this
/// server only, and it is taken once. The *answer*, a MAC over the knock, shows that the server is
/// a member, so that the client may send its hello, and what it asks for, at once. The *proofs*
/// bind the swarm's key to the TLS channel, by its exporter (RFC 8446 §7.5): whoever passes others'
/// knocks on gets no further. No round trip is added.
class SwarmGate {
  public:
    enum class Role { client, server };
    static constexpr std::size_t knock_bytes = core::seal_overhead;
    static constexpr std::size_t answer_bytes = 32;
    static constexpr std::size_t proof_bytes = 32;

    SwarmGate(const core::SwarmKey& key, Runtime& runtime);

    /// For a connection to `target`, as it is dialled.
    [[nodiscard]] Bytes knock(const core::Endpoint& target);
    /// True once for a member's knock that came at `local`.
    [[nodiscard]] bool admits(ByteView knock, const core::Endpoint& local);
    [[nodiscard]] core::Sha256Digest answer_to(ByteView knock) const;
    /// What the end in `role` shows; `exported`: of the channel.
    [[nodiscard]] core::Sha256Digest proof(Role role, ByteView exported) const;

  private:
    Runtime& runtime_;  // outlives the transport
    core::Sealer sealer_;
    core::Opener opener_;
    Bytes answer_key_;
    Bytes proof_key_;
};

}  // namespace flow29::net
