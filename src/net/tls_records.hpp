// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/record_cipher.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace flow29::net {

/// The records of TLS 1.3 (RFC 8446, 5.1 and 5.2) after its handshake:
///
///     | 23, 3, 3, length | plain text, its type, zeros | tag |
///       \__ header ____/   \________ encrypted ______/
namespace tls {
constexpr std::size_t header_bytes = 5;
constexpr std::size_t plain_bytes_max = 16 * 1024;
constexpr std::size_t sealed_bytes_max = plain_bytes_max + 256;  ///< behind the header
enum class ContentType : std::uint8_t { alert = 21, handshake = 22, application_data = 23 };
}  // namespace tls

/// Turns plain text into records and keeps them until they are sent.
class RecordSealer {
  public:
    /// Records up to here are sent together, if they follow each other at once.
    static constexpr std::size_t batch_bytes = 4 * tls::plain_bytes_max;

    explicit RecordSealer(std::unique_ptr<core::RecordCipher> cipher)
        : cipher_(std::move(cipher)) {}

    /// Appends a record of at most tls::plain_bytes_max. False once the key is used up.
    [[nodiscard]] bool seal(tls::ContentType type, ByteView plain);
    [[nodiscard]] ByteView unsent() const { return {buffer_.get() + begin_, end_ - begin_}; }
    void sent(std::size_t octets);
    /// Nothing follows for now: memory that is not needed meanwhile is given back.
    void rest();

  private:
    void make_room(std::size_t octets);

    std::unique_ptr<core::RecordCipher> cipher_;
    std::unique_ptr<std::uint8_t[]> buffer_;
    std::size_t size_ = 0;
    std::size_t begin_ = 0;  // buffer_[begin_, end_) is sealed and not sent
    std::size_t end_ = 0;
};

/// Turns what comes back into plain text.
class RecordOpener {
  public:
    explicit RecordOpener(std::unique_ptr<core::RecordCipher> cipher)
        : cipher_(std::move(cipher)) {}

    /// Where what comes next belongs; more than once it was filled. Never empty if `take` has just
    /// given nothing.
    [[nodiscard]] std::span<std::uint8_t> room();
    /// So much of `room` was filled.
    void arrived(std::size_t octets);
    /// Nothing more is there for now: memory that is not needed meanwhile is given back.
    void rest();
    /// Decrypts whole records into `out` and gives the octets; 0 when more must arrive. Requires
    /// `out` not to be empty. Errors, from then on always: peer_unreachable (the peer has ended the
    /// connection, or what came is not TLS of the other end).
    [[nodiscard]] Result<std::size_t> take(std::span<std::uint8_t> out);

  private:
    struct Inner {
        tls::ContentType type;
        std::size_t octets;
    };

    [[nodiscard]] std::size_t buffered() const { return end_ - begin_; }
    [[nodiscard]] Result<std::optional<std::size_t>> whole_record() const;
    [[nodiscard]] Result<Inner> open(std::size_t length, std::uint8_t* out);
    [[nodiscard]] Result<std::size_t> take_record(std::size_t length, std::span<std::uint8_t> out);
    [[nodiscard]] Result<void> pass(Inner inner, const std::uint8_t* content);
    [[nodiscard]] std::size_t take_opened(std::span<std::uint8_t> out);

    std::unique_ptr<core::RecordCipher> cipher_;
    std::unique_ptr<std::uint8_t[]> buffer_;
    std::size_t size_ = 0;
    std::size_t begin_ = 0;  // buffer_[begin_, end_) has come and is not opened
    std::size_t end_ = 0;
    std::span<std::uint8_t> opened_;  // of the buffer, before begin_; not taken yet
    bool filled_ = false;             // the last arrival left no room
    unsigned without_data_ = 0;       // records in a row
    std::optional<Error> fault_;
};

}  // namespace flow29::net
