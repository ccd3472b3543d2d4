// SPDX-License-Identifier: GPL-3.0-or-later
#include <string>

#include "core/identity.hpp"

#include "input.hpp"

/// A key file, a public key as TLS shows it, and signatures that were not made by the key.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace flow29;
    const ByteView raw(data, size);
    if (const auto identity = core::Identity::from_pem(fuzz::text_of(data, size))) {
        const auto again = core::Identity::from_pem(identity->private_pem());
        FLOW29_ASSERT(again && again->public_key() == identity->public_key());
        auto signature = identity->sign(raw);
        FLOW29_ASSERT(core::verify_signature(identity->public_key(), raw, signature));
        signature.bytes[size % Signature::size] ^= 1U;
        FLOW29_ASSERT(!core::verify_signature(identity->public_key(), raw, signature));
    }
    if (const auto key = core::public_key_from_spki(raw)) {
        FLOW29_ASSERT(size >= PublicKey::size);
        fuzz::Input input(data, size);
        const auto made_up = input.id<Signature>();
        FLOW29_ASSERT(!core::verify_signature(*key, raw, made_up));
    }
    return 0;
}
