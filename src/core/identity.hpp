// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

namespace flow29::core {

/// SHA-256 of the key's DER SubjectPublicKeyInfo (RFC 8410): what a TLS peer is pinned to.
[[nodiscard]] NodeId node_id_of(const PublicKey& key);
/// The raw key inside a DER SubjectPublicKeyInfo; nothing unless it is Ed25519.
[[nodiscard]] std::optional<PublicKey> public_key_from_spki(ByteView spki);

/// True when `signature` over `message` was made by the holder of `key`. About 185 µs.
[[nodiscard]] bool verify_signature(const PublicKey& key, ByteView message,
                                    const Signature& signature);

/// A node's Ed25519 key pair (RFC 8032). Immutable, so it may be shared between threads.
class Identity {
  public:
    [[nodiscard]] static Result<Identity> generate();
    /// Reads a PKCS#8 PEM private key; Errc::file_error or Errc::usage.
    [[nodiscard]] static Result<Identity> from_pem(std::string_view pem);
    /// Loads `file`, or generates a key and writes it there with mode 0600, synced.
    [[nodiscard]] static Result<Identity> load_or_create(const std::filesystem::path& file);

    ~Identity();
    Identity(Identity&&) noexcept;
    Identity& operator=(Identity&&) noexcept;

    [[nodiscard]] const PublicKey& public_key() const;
    [[nodiscard]] const NodeId& id() const;
    /// About 55 µs.
    [[nodiscard]] Signature sign(ByteView message) const;

    /// 32 octets that only who has the private key can know, others for every `purpose`:
    /// HKDF-SHA256 of the key.
    [[nodiscard]] std::array<std::uint8_t, 32> derive_secret(std::string_view purpose) const;

    /// For TLS: the private key as PKCS#8 PEM and the public key as SPKI PEM.
    [[nodiscard]] std::string private_pem() const;
    [[nodiscard]] std::string public_pem() const;

  private:
    struct State;
    explicit Identity(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Fills `out` from the operating system's generator.
void random_bytes(std::span<std::uint8_t> out);

}  // namespace flow29::core
