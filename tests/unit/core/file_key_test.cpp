// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/file_key.hpp"

#include <doctest/doctest.h>

#include <numeric>

using namespace flow29;
using core::FileKey;

namespace {

Bytes counting(std::size_t count, unsigned first = 0) {
    Bytes octets(count);
    std::iota(octets.begin(), octets.end(), static_cast<std::uint8_t>(first));
    return octets;
}

RootHash root_of(unsigned first) {
    return *RootHash::from(counting(32, first));
}

FileKey key_of(ObjectKind kind = ObjectKind::file) {
    return FileKey::derive(counting(32), kind, root_of(32));
}

// Of this secret, plain root 32… and root 64…; made with Python's hmac and OpenSSL's aes-256-ctr.
const std::string text_of_link = "acnqaetnx2gwijnufv4yzpnb3jhj7uqsqrp3pcahqkqomj6gr2ujgmcwazsq";
const std::string stream_at_0 =
    "2a9ab789bb86e47f3661db44c2aa2bd8db994729affaae7c6d25b7a0211d64b360f10c4064f87d39";
const std::string stream_at_2_40_and_5 =
    "d52888af89124d9d316dde440358143a04d97762dd203cfab8788021770541e96f4185025cf30818";

}  // namespace

TEST_CASE("a key encrypts as another implementation does, wherever it begins") {
    const auto key = key_of();
    Bytes zeros(40);
    key.apply(0, zeros);
    CHECK(to_hex(ByteView(zeros)) == stream_at_0);
    zeros.assign(40, 0);
    key.apply((1ULL << 40) + 5, zeros);
    CHECK(to_hex(ByteView(zeros)) == stream_at_2_40_and_5);
}

TEST_CASE("what is decrypted in parts is what was encrypted whole") {
    const auto key = key_of();
    const auto plain = counting(1000);
    auto whole = plain;
    key.apply(7, whole);
    CHECK(whole != plain);
    for (const std::size_t part : {1, 3, 15, 16, 17, 512}) {
        auto octets = whole;
        for (std::size_t at = 0; at < octets.size(); at += part)
            key.apply(7 + at, std::span(octets).subspan(at, std::min(part, octets.size() - at)));
        CHECK(octets == plain);
    }
    key.apply(0, {});
}

TEST_CASE("a key depends on the secret and on the text, and on nothing else") {
    const auto text = [](const FileKey& key) { return key.to_text(root_of(64)); };
    CHECK(text(key_of()) == text(key_of()));
    CHECK(text(FileKey::derive(counting(32, 1), ObjectKind::file, root_of(32))) != text(key_of()));
    CHECK(text(FileKey::derive(counting(32), ObjectKind::file, root_of(33))) != text(key_of()));
}

TEST_CASE("a link's key is read back, and says what the object is") {
    CHECK(key_of().to_text(root_of(64)) == text_of_link);
    for (const auto kind : {ObjectKind::file, ObjectKind::directory}) {
        const auto text = key_of(kind).to_text(root_of(64));
        const auto key = FileKey::parse(text, root_of(64));
        REQUIRE(key.has_value());
        CHECK(key->kind() == kind);
        CHECK(key->to_text(root_of(64)) == text);
    }
}

TEST_CASE("a key of another object, or mistyped anywhere, says so") {
    CHECK(FileKey::parse(text_of_link, root_of(65)).error().code == Errc::verification_failed);
    for (std::size_t at = 0; at < text_of_link.size(); ++at) {
        auto text = text_of_link;
        text[at] = text[at] == 'c' ? 'd' : 'c';
        CAPTURE(text);
        CHECK_FALSE(FileKey::parse(text, root_of(64)).has_value());
    }
    for (const std::string& text :
         {std::string(), text_of_link.substr(1), text_of_link + "a", std::string(60, '1')})
        CHECK(FileKey::parse(text, root_of(64)).error().code == Errc::usage);
}
