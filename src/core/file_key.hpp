// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

namespace flow29::core {

/// What makes a private object readable: the key that its bytes are encrypted with, and what they
/// are then. Only its link carries it.
///
/// AES-256 in counter mode (NIST SP 800-38A), the counter being the number of the 16-octet block
/// within the object: any range can be read alone, and the length stays as it is. A key is for one
/// text only, so no keystream ever serves two. That what comes is what was published is the hash
/// tree's to say, which is over the encrypted bytes.
///
/// Immutable, shared by copies; any thread.
class FileKey {
  public:
    static constexpr std::size_t key_bytes = 32;

    /// HKDF-SHA256 (RFC 5869) of a secret of the publisher's and the root that the object has
    /// unencrypted: publishing the same again gives the same, and nobody who has or guesses the
    /// text can tell. `kind` is file or directory.
    [[nodiscard]] static FileKey derive(ByteView secret, ObjectKind kind,
                                        const RootHash& plain_root);

    /// As in the fragment of the link of `root`, the private object's: base32 of
    ///     kind | key (32 octets) | first 4 octets of HMAC-SHA256(key, domain ‖ kind ‖ root)
    /// The last say that a key is not this object's, or was mistyped.
    [[nodiscard]] std::string to_text(const RootHash& root) const;
    /// Errors: usage when it is no key, verification_failed when it is not this object's.
    [[nodiscard]] static Result<FileKey> parse(std::string_view text, const RootHash& root);

    /// What the object is when it is decrypted: file or directory.
    [[nodiscard]] ObjectKind kind() const { return kind_; }
    /// Encrypts or decrypts, which is the same, what begins at `offset` of the object. In place.
    void apply(std::uint64_t offset, std::span<std::uint8_t> data) const;

  private:
    struct State;
    FileKey(ObjectKind kind, ByteView key);

    ObjectKind kind_;
    std::shared_ptr<const State> state_;
};

}  // namespace flow29::core
