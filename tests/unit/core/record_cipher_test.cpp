// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/record_cipher.hpp"

#include <doctest/doctest.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <numeric>
#include <vector>

namespace flow29::core {
namespace {

using Algorithm = RecordCipher::Algorithm;

constexpr std::uint8_t application_data = 23;

Bytes counting(std::size_t octets, int from = 0) {
    Bytes bytes(octets);
    std::iota(bytes.begin(), bytes.end(), static_cast<std::uint8_t>(from));
    return bytes;
}

Bytes header_for(std::size_t plain) {
    const std::size_t length = plain + 1 + RecordCipher::tag_bytes;
    return {application_data, 3, 3, static_cast<std::uint8_t>(length >> 8),
            static_cast<std::uint8_t>(length)};
}

std::unique_ptr<RecordCipher> cipher_of(Algorithm algorithm, ByteView key, ByteView iv,
                                        std::uint64_t sequence = 0) {
    auto cipher = RecordCipher::create({algorithm, key, iv, sequence});
    REQUIRE(cipher.has_value());
    return std::move(*cipher);
}

/// One call of GnuTLS's for the whole record, with the nonce that RFC 8446, 5.3 gives.
Bytes sealed_by_gnutls(gnutls_cipher_algorithm_t algorithm, Bytes key, Bytes nonce, ByteView plain,
                       std::uint64_t sequence) {
    for (std::size_t i = 0; i < 8; ++i)
        nonce[nonce.size() - 1 - i] ^= static_cast<std::uint8_t>(sequence >> (8 * i));
    Bytes inner(plain.begin(), plain.end());
    inner.push_back(application_data);
    const Bytes header = header_for(plain.size());
    const gnutls_datum_t secret{key.data(), static_cast<unsigned>(key.size())};
    gnutls_aead_cipher_hd_t cipher = nullptr;
    REQUIRE(gnutls_aead_cipher_init(&cipher, algorithm, &secret) == 0);
    Bytes out(inner.size() + RecordCipher::tag_bytes);
    std::size_t size = out.size();
    REQUIRE(gnutls_aead_cipher_encrypt(cipher, nonce.data(), nonce.size(), header.data(),
                                       header.size(), RecordCipher::tag_bytes, inner.data(),
                                       inner.size(), out.data(), &size) == 0);
    gnutls_aead_cipher_deinit(cipher);
    CHECK(size == out.size());
    return out;
}

}  // namespace

TEST_CASE("a record of RFC 8448 is sealed and opened") {
    // Section 3: the client's first application data, and the keys that it is sealed with.
    const Bytes key{0x17, 0x42, 0x2d, 0xda, 0x59, 0x6e, 0xd5, 0xd9,
                    0xac, 0xd8, 0x90, 0xe3, 0xc6, 0x3f, 0x50, 0x51};
    const Bytes iv{0x5b, 0x78, 0x92, 0x3d, 0xee, 0x08, 0x57, 0x90, 0x33, 0xe5, 0x23, 0xd9};
    const Bytes expected{0xa2, 0x3f, 0x70, 0x54, 0xb6, 0x2c, 0x94, 0xd0, 0xaf, 0xfa, 0xfe, 0x82,
                         0x28, 0xba, 0x55, 0xcb, 0xef, 0xac, 0xea, 0x42, 0xf9, 0x14, 0xaa, 0x66,
                         0xbc, 0xab, 0x3f, 0x2b, 0x98, 0x19, 0xa8, 0xa5, 0xb4, 0x6b, 0x39, 0x5b,
                         0xd5, 0x4a, 0x9a, 0x20, 0x44, 0x1e, 0x2b, 0x62, 0x97, 0x4e, 0x1f, 0x5a,
                         0x62, 0x92, 0xa2, 0x97, 0x70, 0x14, 0xbd, 0x1e, 0x3d, 0xea, 0xe6, 0x3a,
                         0xee, 0xbb, 0x21, 0x69, 0x49, 0x15, 0xe4};
    const Bytes plain = counting(50);
    const Bytes header = header_for(plain.size());
    Bytes sealed(expected.size());
    cipher_of(Algorithm::aes_128_gcm, key, iv)
        ->seal(header, plain, application_data, sealed.data());
    CHECK(sealed == expected);
    Bytes opened(plain.size() + 1);
    CHECK(cipher_of(Algorithm::aes_128_gcm, key, iv)->open(header, expected, opened.data()));
    CHECK(opened.back() == application_data);
    opened.pop_back();
    CHECK(opened == plain);
}

TEST_CASE("records are what GnuTLS makes, whichever library seals them") {
    struct Case {
        Algorithm ours;
        gnutls_cipher_algorithm_t theirs;
        std::size_t key_bytes;
    };
    for (const Case& kind :
         {Case{Algorithm::aes_128_gcm, GNUTLS_CIPHER_AES_128_GCM, 16},
          Case{Algorithm::aes_256_gcm, GNUTLS_CIPHER_AES_256_GCM, 32},
          Case{Algorithm::chacha20_poly1305, GNUTLS_CIPHER_CHACHA20_POLY1305, 32}}) {
        const Bytes key = counting(kind.key_bytes, 3);
        const Bytes iv = counting(RecordCipher::nonce_bytes, 200);
        auto sealer = cipher_of(kind.ours, key, iv, 0x00fe'ff);
        auto opener = cipher_of(kind.ours, key, iv, 0x00fe'ff);
        auto opener_in_place = cipher_of(kind.ours, key, iv, 0x00fe'ff);
        std::uint64_t sequence = 0x00fe'ff;
        for (const std::size_t octets : {0, 1, 15, 16, 17, 511, 512, 1000, 16384}) {
            CAPTURE(octets);
            const Bytes plain = counting(octets, 5);
            const Bytes header = header_for(octets);
            Bytes sealed(octets + 1 + RecordCipher::tag_bytes);
            sealer->seal(header, plain, application_data, sealed.data());
            CHECK(sealed == sealed_by_gnutls(kind.theirs, key, iv, plain, sequence++));
            Bytes wanted = plain;
            wanted.push_back(application_data);
            Bytes opened(octets + 1);
            CHECK(opener->open(header, sealed, opened.data()));
            CHECK(opened == wanted);
            CHECK(opener_in_place->open(header, sealed, sealed.data()));
            sealed.resize(wanted.size());
            CHECK(sealed == wanted);
        }
    }
}

TEST_CASE("a record that was touched, moved or repeated is not opened") {
    for (const Algorithm algorithm : {Algorithm::aes_128_gcm, Algorithm::chacha20_poly1305}) {
        const Bytes key = counting(algorithm == Algorithm::aes_128_gcm ? 16 : 32);
        const Bytes iv = counting(RecordCipher::nonce_bytes);
        const Bytes plain = counting(40);
        const Bytes header = header_for(plain.size());
        Bytes sealed(plain.size() + 1 + RecordCipher::tag_bytes);
        cipher_of(algorithm, key, iv)->seal(header, plain, application_data, sealed.data());
        Bytes out(plain.size() + 1);
        for (std::size_t place = 0; place < sealed.size(); ++place) {
            Bytes touched = sealed;
            touched[place] ^= 1;
            CHECK_FALSE(cipher_of(algorithm, key, iv)->open(header, touched, out.data()));
        }
        for (std::size_t place = 0; place < header.size(); ++place) {
            Bytes touched = header;
            touched[place] ^= 1;
            CHECK_FALSE(cipher_of(algorithm, key, iv)->open(touched, sealed, out.data()));
        }
        CHECK_FALSE(cipher_of(algorithm, key, iv, 1)->open(header, sealed, out.data()));
        auto opener = cipher_of(algorithm, key, iv);
        CHECK(opener->open(header, sealed, out.data()));
        CHECK_FALSE(opener->open(header, sealed, out.data()));
    }
}

TEST_CASE("a key is used up after so many records, and has a length") {
    const Bytes key = counting(16);
    const Bytes iv = counting(RecordCipher::nonce_bytes);
    auto cipher = cipher_of(Algorithm::aes_128_gcm, key, iv, RecordCipher::records_max - 1);
    CHECK(cipher->usable());
    Bytes out(1 + RecordCipher::tag_bytes);
    cipher->seal(header_for(0), {}, application_data, out.data());
    CHECK_FALSE(cipher->usable());
    CHECK_FALSE(RecordCipher::create({Algorithm::aes_256_gcm, key, iv, 0}).has_value());
    CHECK_FALSE(RecordCipher::create({Algorithm::aes_128_gcm, key, key, 0}).has_value());
}

}  // namespace flow29::core
