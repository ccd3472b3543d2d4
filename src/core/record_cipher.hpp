// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace flow29::core {

/// Encrypts or decrypts the records of one direction of a TLS 1.3 connection, in their order
/// (RFC 8446, 5.2 and 5.3). The cipher is a library's: Intel's for AES where the build and the
/// processor have it, which is three times as fast there, and GnuTLS's otherwise.
class RecordCipher {
  public:
    enum class Algorithm { aes_128_gcm, aes_256_gcm, chacha20_poly1305 };
    static constexpr std::size_t nonce_bytes = 12;
    static constexpr std::size_t tag_bytes = 16;
    /// What one key may encrypt: below the bound of RFC 8446, 5.5 for AES-GCM and full records.
    static constexpr std::uint64_t records_max = std::uint64_t{1} << 24;

    struct Secret {
        Algorithm algorithm = Algorithm::aes_128_gcm;
        ByteView key;                ///< 16 octets of aes_128_gcm, else 32
        ByteView iv;                 ///< nonce_bytes
        std::uint64_t sequence = 0;  ///< of the next record
    };
    /// Errors: other (a length is wrong, or GnuTLS refuses).
    [[nodiscard]] static Result<std::unique_ptr<RecordCipher>> create(const Secret& secret);
    virtual ~RecordCipher() = default;
    RecordCipher(const RecordCipher&) = delete;
    RecordCipher& operator=(const RecordCipher&) = delete;

    /// False once the key has been used up; nothing more may be sealed or opened.
    [[nodiscard]] bool usable() const { return sequence_ < records_max; }
    /// Encrypts `plain` and the type behind it. `out` has room for both and a tag, and overlaps
    /// neither. Requires `usable`.
    void seal(ByteView header, ByteView plain, std::uint8_t type, std::uint8_t* out);
    /// Decrypts what `seal` made. `out` has room for `sealed` without its tag, and is where that
    /// begins or does not overlap it. False, and `out` is worthless: it is not of the other end.
    /// Requires `usable`, and `sealed` to be longer than a tag.
    [[nodiscard]] bool open(ByteView header, ByteView sealed, std::uint8_t* out);

  protected:
    using Nonce = std::array<std::uint8_t, nonce_bytes>;

    explicit RecordCipher(const Secret& secret);

  private:
    [[nodiscard]] Nonce next_nonce();
    virtual void encrypt(const Nonce& nonce, ByteView header, ByteView plain, std::uint8_t type,
                         std::uint8_t* out) = 0;
    [[nodiscard]] virtual bool decrypt(const Nonce& nonce, ByteView header, ByteView sealed,
                                       std::uint8_t* out) = 0;

    Nonce iv_{};
    std::uint64_t sequence_;
};

}  // namespace flow29::core
