// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/kdf.hpp"

#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>

namespace flow29::core {
namespace {

void update(void* context, std::size_t length, const std::uint8_t* data) {
    hmac_sha256_update(static_cast<hmac_sha256_ctx*>(context), length, data);
}

void digest(void* context, std::size_t length, std::uint8_t* out) {
    hmac_sha256_digest(static_cast<hmac_sha256_ctx*>(context), length, out);
}

}  // namespace

Sha256Digest hmac_sha256(ByteView key, std::initializer_list<ByteView> parts) {
    hmac_sha256_ctx context;
    hmac_sha256_set_key(&context, key.size(), key.data());
    for (const ByteView part : parts)
        hmac_sha256_update(&context, part.size(), part.data());
    Sha256Digest mac;
    hmac_sha256_digest(&context, mac.size(), mac.data());
    return mac;
}

Bytes hkdf_sha256(ByteView salt, ByteView secret, ByteView info, std::size_t octets) {
    const Sha256Digest extracted = hmac_sha256(salt, {secret});
    hmac_sha256_ctx context;
    hmac_sha256_set_key(&context, extracted.size(), extracted.data());
    Bytes derived(octets);
    hkdf_expand(&context, update, digest, extracted.size(), info.size(), info.data(), octets,
                derived.data());
    return derived;
}

bool equal_secrets(ByteView a, ByteView b) {
    return a.size() == b.size() && memeql_sec(a.data(), b.data(), a.size()) != 0;
}

}  // namespace flow29::core
