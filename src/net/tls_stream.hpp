// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "core/endpoint.hpp"
#include "core/identity.hpp"
#include "net/swarm_gate.hpp"
#include "net/tls_records.hpp"

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>

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
    friend class TlsStream;
    struct State;
    explicit TlsCredentials(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// One TLS connection over a non-blocking socket: GnuTLS makes the handshake, and the records
/// behind it are ours (docs/decisions/0021). Reading and writing never wait: who gets `wants_*`
/// waits with `wait` and tries again. One reader and one writer may wait at the same time.
class TlsStream {
  public:
    enum class Role { client, server };
    struct Options {
        Role role = Role::client;
        std::optional<NodeId> expected{};   ///< who must be there
        std::optional<DhtKey> position{};   ///< the first 20 bytes of who must be there
        std::shared_ptr<SwarmGate> gate{};  ///< of a private swarm; else null
        core::Endpoint at{};  ///< with a gate: what is dialled, or where the connection came in
    };
    enum class Status { moved, wants_read, wants_write, ended };
    struct Progress {
        Status status = Status::ended;
        std::size_t octets = 0;  ///< of Status::moved
    };
    /// The most that one record carries.
    static constexpr std::size_t record_bytes_max = tls::plain_bytes_max;

    TlsStream(asio::ip::tcp::socket socket, std::shared_ptr<const TlsCredentials> credentials,
              Options options);
    ~TlsStream();
    TlsStream(const TlsStream&) = delete;
    TlsStream& operator=(const TlsStream&) = delete;

    /// Proves both ends to each other and gives the peer's key; in a private swarm also that they
    /// are in it, of which a client hears with the first octets that it reads. In TLS 1.3 a client
    /// is done before the server has judged it, so only the peer's first message shows that it did
    /// not refuse. Errors: verification_failed (somebody else is there), refused (it is this very
    /// node), peer_unreachable (anything else).
    [[nodiscard]] asio::awaitable<Result<PublicKey>> handshake();

    /// Decrypts what has come into `out`; what moved is not 0. Requires `out` not to be empty.
    [[nodiscard]] Progress try_read(std::span<std::uint8_t> out);
    /// Takes at most `record_bytes_max` octets over as one record and sends it. After `wants_*`
    /// `resume_write` must follow until it says `moved`. With `more` the record may be held back,
    /// to be sent together with what follows: something must follow at once, or `resume_write`.
    [[nodiscard]] Progress try_write(ByteView record, bool more);
    /// Sends what was taken over; the octets that move are those of the record that waited.
    [[nodiscard]] Progress resume_write(bool more);
    /// So much of what the peer sends waits in the kernel at most; nothing: as the kernel likes.
    void bound_window(std::optional<ByteCount> octets);
    /// False when the stream was closed meanwhile. Requires a `wants_*` status.
    [[nodiscard]] asio::awaitable<bool> wait(Status status);

    /// Says good-bye if that needs no waiting, and closes the socket; whoever waits is told.
    void close();
    [[nodiscard]] bool open() const { return socket_.has_value(); }
    /// Why the last call said `ended`.
    [[nodiscard]] const Error& error() const { return error_; }

  private:
    struct State;

    [[nodiscard]] Progress end(Error error);
    [[nodiscard]] Result<PublicKey> handshake_outcome(int result);
    [[nodiscard]] Result<void> take_over_records();
    [[nodiscard]] bool send_knock();
    void prepare_proofs();
    [[nodiscard]] asio::awaitable<bool> exchange_proofs();
    [[nodiscard]] asio::awaitable<bool> send_proof();
    [[nodiscard]] Progress read_proof();
    [[nodiscard]] Progress receive(std::span<std::uint8_t> out);

    std::optional<asio::ip::tcp::socket> socket_;  // nothing once closed
    std::unique_ptr<State> state_;
    Error error_;
};

}  // namespace flow29::net
