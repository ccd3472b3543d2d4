// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "net/tls_handshake.hpp"
#include "net/tls_records.hpp"

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>

#include <memory>
#include <optional>

namespace flow29::net {

/// One TLS connection over a non-blocking socket: GnuTLS makes the handshake, and the records
/// behind it are ours (docs/decisions/0021). Reading and writing never wait: who gets `wants_*`
/// waits with `wait` and tries again. One reader and one writer may wait at the same time.
class TlsStream {
  public:
    using Role = TlsTerms::Role;
    enum class Status { moved, wants_read, wants_write, ended };
    struct Progress {
        Status status = Status::ended;
        std::size_t octets = 0;  ///< of Status::moved
    };
    /// The most that one record carries.
    static constexpr std::size_t record_bytes_max = tls::plain_bytes_max;

    TlsStream(asio::ip::tcp::socket socket, std::shared_ptr<const TlsCredentials> credentials,
              TlsTerms terms);
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
    [[nodiscard]] Progress end(Error error);
    void take_over(TlsHandshake::Outcome& outcome);
    [[nodiscard]] asio::awaitable<bool> exchange_proofs();
    [[nodiscard]] asio::awaitable<bool> send_proof();
    [[nodiscard]] Progress read_proof();
    [[nodiscard]] Progress receive(std::span<std::uint8_t> out);

    std::optional<asio::ip::tcp::socket> socket_;  // nothing once closed
    Role role_;
    std::unique_ptr<TlsHandshake> handshake_;  // until it is over; then the next two
    std::optional<RecordSealer> sealer_;
    std::optional<RecordOpener> opener_;
    std::size_t waiting_ = 0;  // octets of the record that the socket has not taken
    Bytes own_proof_;          // of a private swarm's key, to be sent
    Bytes wanted_proof_;       // of the peer; empty once it came
    Bytes proof_;              // what came of it
    bool established_ = false;
    Error error_;
};

}  // namespace flow29::net
