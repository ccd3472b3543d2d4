// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/record_cipher.hpp"

#include "core/assert.hpp"
#include "core/kdf.hpp"

#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <algorithm>
#include <cstring>

#ifdef FLOW29_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

namespace flow29::core {
namespace {

std::size_t key_bytes(RecordCipher::Algorithm algorithm) {
    return algorithm == RecordCipher::Algorithm::aes_128_gcm ? 16 : 32;
}

gnutls_cipher_algorithm_t gnutls_name(RecordCipher::Algorithm algorithm) {
    switch (algorithm) {
        case RecordCipher::Algorithm::aes_128_gcm:
            return GNUTLS_CIPHER_AES_128_GCM;
        case RecordCipher::Algorithm::aes_256_gcm:
            return GNUTLS_CIPHER_AES_256_GCM;
        case RecordCipher::Algorithm::chacha20_poly1305:
            return GNUTLS_CIPHER_CHACHA20_POLY1305;
    }
    return GNUTLS_CIPHER_UNKNOWN;
}

/// GnuTLS takes what it only reads as non-const.
giovec_t part(ByteView octets) {
    return {const_cast<std::uint8_t*>(octets.data()), octets.size()};
}

class GnutlsCipher final : public RecordCipher {
  public:
    explicit GnutlsCipher(const Secret& secret) : RecordCipher(secret) {
        const gnutls_datum_t key{const_cast<std::uint8_t*>(secret.key.data()),
                                 static_cast<unsigned>(secret.key.size())};
        outcome_ = gnutls_aead_cipher_init(&cipher_, gnutls_name(secret.algorithm), &key);
    }
    ~GnutlsCipher() override {
        if (outcome_ == 0) gnutls_aead_cipher_deinit(cipher_);
    }
    [[nodiscard]] int outcome() const { return outcome_; }

  private:
    void encrypt(const Nonce& nonce, ByteView header, ByteView plain, std::uint8_t type,
                 std::uint8_t* out) override {
        if (!plain.empty()) std::memcpy(out, plain.data(), plain.size());
        out[plain.size()] = type;
        const std::size_t inner = plain.size() + 1;
        const giovec_t about = part(header);
        const giovec_t content{out, inner};
        std::size_t tag = tag_bytes;
        const int result = gnutls_aead_cipher_encryptv2(cipher_, nonce.data(), nonce.size(), &about,
                                                        1, &content, 1, out + inner, &tag);
        FLOW29_ASSERT(result == 0 && tag == tag_bytes);
    }

    bool decrypt(const Nonce& nonce, ByteView header, ByteView sealed, std::uint8_t* out) override {
        const std::size_t inner = sealed.size() - tag_bytes;
        std::array<std::uint8_t, tag_bytes> tag{};
        std::memcpy(tag.data(), sealed.data() + inner, tag.size());
        if (out != sealed.data()) std::memcpy(out, sealed.data(), inner);
        const giovec_t about = part(header);
        const giovec_t content{out, inner};
        return gnutls_aead_cipher_decryptv2(cipher_, nonce.data(), nonce.size(), &about, 1,
                                            &content, 1, tag.data(), tag.size()) == 0;
    }

    gnutls_aead_cipher_hd_t cipher_ = nullptr;
    int outcome_;
};

#ifdef FLOW29_IPSEC_MB
/// The library's functions for this processor; null when it has no fast ones. Never freed.
const IMB_MGR* aes_functions() {
    static const IMB_MGR* const functions = []() -> const IMB_MGR* {
        IMB_MGR* const manager = alloc_mb_mgr(0);
        if (manager == nullptr) return nullptr;
        init_mb_mgr_auto(manager, nullptr);
        const bool fast = imb_get_errno(manager) == 0 &&
                          (manager->features & IMB_FEATURE_AESNI) != 0 &&
                          (manager->features & IMB_FEATURE_PCLMULQDQ) != 0;
        if (fast) return manager;
        free_mb_mgr(manager);
        return nullptr;
    }();
    return functions;
}

class AesGcmCipher final : public RecordCipher {
  public:
    AesGcmCipher(const Secret& secret, const IMB_MGR& aes) : RecordCipher(secret) {
        const bool short_key = secret.algorithm == Algorithm::aes_128_gcm;
        begin_ = short_key ? aes.gcm128_init : aes.gcm256_init;
        encrypt_ = short_key ? aes.gcm128_enc_update : aes.gcm256_enc_update;
        end_encryption_ = short_key ? aes.gcm128_enc_finalize : aes.gcm256_enc_finalize;
        decrypt_ = short_key ? aes.gcm128_dec_update : aes.gcm256_dec_update;
        end_decryption_ = short_key ? aes.gcm128_dec_finalize : aes.gcm256_dec_finalize;
        (short_key ? aes.gcm128_pre : aes.gcm256_pre)(secret.key.data(), &key_);
    }
    ~AesGcmCipher() override { gnutls_memset(&key_, 0, sizeof key_); }

  private:
    void encrypt(const Nonce& nonce, ByteView header, ByteView plain, std::uint8_t type,
                 std::uint8_t* out) override {
        begin_(&key_, &state_, nonce.data(), header.data(), header.size());
        if (!plain.empty()) encrypt_(&key_, &state_, out, plain.data(), plain.size());
        out += plain.size();
        encrypt_(&key_, &state_, out, &type, 1);
        end_encryption_(&key_, &state_, out + 1, tag_bytes);
    }

    bool decrypt(const Nonce& nonce, ByteView header, ByteView sealed, std::uint8_t* out) override {
        const ByteView inner = sealed.first(sealed.size() - tag_bytes);
        std::array<std::uint8_t, tag_bytes> tag{};
        begin_(&key_, &state_, nonce.data(), header.data(), header.size());
        decrypt_(&key_, &state_, out, inner.data(), inner.size());
        end_decryption_(&key_, &state_, tag.data(), tag.size());
        return equal_secrets(tag, sealed.last(tag_bytes));
    }

    aes_gcm_init_t begin_;
    aes_gcm_enc_dec_update_t encrypt_;
    aes_gcm_enc_dec_finalize_t end_encryption_;
    aes_gcm_enc_dec_update_t decrypt_;
    aes_gcm_enc_dec_finalize_t end_decryption_;
    // The library loads these by whole registers, and its header says so to some compilers only.
    alignas(64) gcm_key_data key_;
    alignas(64) gcm_context_data state_;
};
#endif

}  // namespace

RecordCipher::RecordCipher(const Secret& secret) : sequence_(secret.sequence) {
    std::copy(secret.iv.begin(), secret.iv.end(), iv_.begin());
}

Result<std::unique_ptr<RecordCipher>> RecordCipher::create(const Secret& secret) {
    if (secret.key.size() != key_bytes(secret.algorithm) || secret.iv.size() != nonce_bytes)
        return fail(Errc::other, "TLS has agreed on a key of an unknown kind");
#ifdef FLOW29_IPSEC_MB
    const IMB_MGR* const aes = aes_functions();
    if (aes != nullptr && secret.algorithm != Algorithm::chacha20_poly1305)
        return std::make_unique<AesGcmCipher>(secret, *aes);
#endif
    auto cipher = std::make_unique<GnutlsCipher>(secret);
    if (cipher->outcome() != 0)
        return fail(Errc::other,
                    fmt::format("setting up a cipher: {}", gnutls_strerror(cipher->outcome())));
    return cipher;
}

RecordCipher::Nonce RecordCipher::next_nonce() {
    FLOW29_ASSERT(usable());
    Nonce nonce = iv_;
    for (std::size_t i = 0; i < sizeof sequence_; ++i)
        nonce[nonce_bytes - 1 - i] ^= static_cast<std::uint8_t>(sequence_ >> (8 * i));
    ++sequence_;
    return nonce;
}

void RecordCipher::seal(ByteView header, ByteView plain, std::uint8_t type, std::uint8_t* out) {
    encrypt(next_nonce(), header, plain, type, out);
}

bool RecordCipher::open(ByteView header, ByteView sealed, std::uint8_t* out) {
    FLOW29_ASSERT(sealed.size() > tag_bytes);
    return decrypt(next_nonce(), header, sealed, out);
}

}  // namespace flow29::core
