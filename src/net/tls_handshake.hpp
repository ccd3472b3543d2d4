// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "core/endpoint.hpp"
#include "core/identity.hpp"
#include "core/record_cipher.hpp"
#include "net/swarm_gate.hpp"

#include <memory>
#include <optional>

namespace flow29::net {

/// Our key and the rules of a handshake: TLS 1.3, raw Ed25519 public keys on both sides,
/// AES-128-GCM first. Immutable, shared by all streams.
class TlsCredentials {
  public:
    [[nodiscard]] static Result<std::shared_ptr<const TlsCredentials>> create(
        const core::Identity& identity);
    ~TlsCredentials();

    [[nodiscard]] const NodeId& own_id() const;

  private:
    friend class TlsHandshake;
    struct State;
    explicit TlsCredentials(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// How one connection begins.
struct TlsTerms {
    enum class Role { client, server };
    Role role = Role::client;
    std::optional<NodeId> expected{};   ///< who must be there
    std::optional<DhtKey> position{};   ///< the first 20 bytes of who must be there
    std::shared_ptr<SwarmGate> gate{};  ///< of a private swarm; else null
    core::Endpoint at{};  ///< with a gate: what is dialled, or where the connection came in
};

/// The beginning of a TLS connection on a non-blocking socket, by GnuTLS: who is at the other end,
/// and the keys for what follows. In a private swarm a knock and its answer go before it, and each
/// end is to prove the swarm's key behind it.
class TlsHandshake {
  public:
    enum class Status { done, wants_read, wants_write };
    struct Outcome {
        PublicKey key;  ///< that the peer proved
        std::unique_ptr<core::RecordCipher> sealing;
        std::unique_ptr<core::RecordCipher> opening;
        Bytes own_proof;     ///< in a private swarm: the first that we send
        Bytes wanted_proof;  ///< and the first that must come
    };

    /// `socket` stays open as long as this is used.
    TlsHandshake(int socket, std::shared_ptr<const TlsCredentials> credentials, TlsTerms terms);
    ~TlsHandshake();
    TlsHandshake(const TlsHandshake&) = delete;
    TlsHandshake& operator=(const TlsHandshake&) = delete;

    /// Goes on without waiting.
    [[nodiscard]] Status step();
    /// Requires `step` to have said `done`; once. Errors: verification_failed (somebody else is
    /// there), refused (it is this very node), peer_unreachable (anything else).
    [[nodiscard]] Result<Outcome> outcome();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace flow29::net
