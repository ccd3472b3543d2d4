// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/identity.hpp"
#include "core/hash.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace flow29;
using namespace flow29::core;
using test::content;
namespace fs = std::filesystem;

namespace {

// RFC 8410 §10.3.
constexpr std::string_view rfc8410_pem =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
    "-----END PRIVATE KEY-----\n";
constexpr std::string_view rfc8410_public =
    "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

// RFC 8032 §7.1, tests 1 (no message) and 2 (one octet).
constexpr std::string_view test1_public =
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
constexpr std::string_view test1_signature =
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
constexpr std::string_view test2_public =
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
constexpr std::string_view test2_signature =
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

constexpr std::string_view ecdsa_pem =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\n"
    "OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n"
    "1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n"
    "-----END PRIVATE KEY-----\n";

Identity generated() {
    auto identity = Identity::generate();
    REQUIRE(identity.has_value());
    return std::move(*identity);
}

template <class Id>
Id id_of(std::string_view hex) {
    return id_from_hex<Id>(hex).value();
}

/// A directory of its own that goes when the test ends.
class ScratchDirectory {
  public:
    ScratchDirectory() {
        std::string name = (fs::temp_directory_path() / "flow29-identity-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~ScratchDirectory() { fs::remove_all(path_); }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;

    [[nodiscard]] fs::path operator/(const char* name) const { return path_ / name; }

  private:
    fs::path path_;
};

void write_file(const fs::path& path, std::string_view text) {
    std::ofstream(path) << text;
}

std::string read_file(const fs::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("signatures of RFC 8032 verify") {
    const auto key1 = id_of<PublicKey>(test1_public);
    const auto key2 = id_of<PublicKey>(test2_public);
    const Bytes message2{0x72};
    CHECK(verify_signature(key1, {}, id_of<Signature>(test1_signature)));
    CHECK(verify_signature(key2, message2, id_of<Signature>(test2_signature)));
    CHECK_FALSE(verify_signature(key2, {}, id_of<Signature>(test2_signature)));
    CHECK_FALSE(verify_signature(key1, message2, id_of<Signature>(test2_signature)));
}

TEST_CASE("the private key of RFC 8410 gives its public key, and is written as it was read") {
    const auto identity = Identity::from_pem(rfc8410_pem);
    REQUIRE(identity.has_value());
    CHECK(to_hex(identity->public_key()) == rfc8410_public);
    CHECK(identity->private_pem() == rfc8410_pem);
    CHECK(identity->public_pem() ==
          "-----BEGIN PUBLIC KEY-----\n"
          "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
          "-----END PUBLIC KEY-----\n");
}

TEST_CASE("a node id is the hash of the key in DER form") {
    const auto key = id_of<PublicKey>(rfc8410_public);
    Bytes spki = from_hex("302a300506032b6570032100").value();
    spki.insert(spki.end(), key.bytes.begin(), key.bytes.end());
    CHECK(node_id_of(key).bytes == sha256({spki}));
    CHECK(public_key_from_spki(spki) == key);
    CHECK(Identity::from_pem(rfc8410_pem)->id() == node_id_of(key));
}

TEST_CASE("a SubjectPublicKeyInfo of another length or algorithm holds no key") {
    Bytes spki = from_hex("302a300506032b6570032100").value();
    spki.resize(44, 7);
    REQUIRE(public_key_from_spki(spki).has_value());
    for (std::size_t i = 0; i < 12; ++i) {
        Bytes wrong = spki;
        wrong[i] ^= 1;
        CHECK_FALSE(public_key_from_spki(wrong).has_value());
    }
    for (const std::size_t size : std::initializer_list<std::size_t>{0, 11, 12, 43, 45}) {
        Bytes wrong = spki;
        wrong.resize(size);
        CHECK_FALSE(public_key_from_spki(wrong).has_value());
    }
}

TEST_CASE("a signature verifies for its message and key alone") {
    const Identity identity = generated();
    for (const std::size_t size : std::initializer_list<std::size_t>{0, 1, 64, 1000}) {
        const Bytes message = content(0, size);
        const Signature signature = identity.sign(message);
        CHECK(signature == identity.sign(message));
        CHECK(verify_signature(identity.public_key(), message, signature));
        CHECK_FALSE(verify_signature(generated().public_key(), message, signature));
        CHECK_FALSE(verify_signature(identity.public_key(), content(0, size + 1), signature));
    }
}

TEST_CASE("every flipped byte of a signature is noticed") {
    const Identity identity = generated();
    const Bytes message = content(0, 20);
    const Signature signature = identity.sign(message);
    for (std::size_t i = 0; i < Signature::size; ++i) {
        Signature wrong = signature;
        wrong.bytes[i] ^= static_cast<std::uint8_t>(1U << i % 8);
        CHECK_FALSE(verify_signature(identity.public_key(), message, wrong));
    }
    CHECK_FALSE(verify_signature(identity.public_key(), message, Signature{}));
}

TEST_CASE("a key that is no point of the curve verifies nothing") {
    PublicKey key;
    key.bytes.fill(0xff);
    CHECK_FALSE(verify_signature(key, {}, Signature{}));
}

TEST_CASE("identities differ, read back from their PEM, and survive a move") {
    Identity first = generated();
    const Identity second = generated();
    CHECK(first.id() != second.id());
    const auto again = Identity::from_pem(first.private_pem());
    REQUIRE(again.has_value());
    CHECK(again->id() == first.id());
    CHECK(again->public_pem() == first.public_pem());
    const Identity moved = std::move(first);
    CHECK(moved.id() == again->id());
    CHECK(moved.sign({}) == again->sign({}));
}

TEST_CASE("text that is no Ed25519 private key is refused") {
    for (const std::string& text :
         {std::string(), std::string("junk"), std::string(rfc8410_pem.substr(0, 60)),
          std::string(ecdsa_pem), generated().public_pem(), std::string(1'000'000, 'A')}) {
        const auto refused = Identity::from_pem(text);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == Errc::usage);
        CHECK_FALSE(refused.error().context.empty());
    }
    CHECK(Identity::from_pem(ecdsa_pem).error().context.find("not Ed25519") != std::string::npos);
}

TEST_CASE("a key in a format other than PKCS #8 is not even looked into") {
    // GnuTLS 3.7.9 has a parser of OpenSSL's formats that may read past the end of the text.
    constexpr std::string_view ec_key =
        "-----BEGIN EC PRIVATE KEY-----\n"
        "MHcCAQEEII9FamxTKatDaS4pvXWllJHBFYZe25IQYKodpO8vEqQhoAoGCCqGSM49\n"
        "AwEHoUQDQgAEdubhrdzjQXnyJRJ+9lbY75ZecCsIDFwZaO1zveKubKCPCPcE4ZuX\n"
        "G7BAWk31hw37VBpgDe8UIegEGJ1mZ3Gwuw==\n"
        "-----END EC PRIVATE KEY-----\n";
    const auto refused = Identity::from_pem(ec_key);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::usage);
    CHECK(refused.error().context.find("not a plain PEM private key") != std::string::npos);
}

TEST_CASE("load_or_create creates a key once, readable by its owner alone") {
    const ScratchDirectory scratch;
    const fs::path file = scratch / "key.pem";
    write_file(file.string() + ".new", "left behind by a crash");
    const auto created = Identity::load_or_create(file);
    REQUIRE(created.has_value());
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(read_file(file) == created->private_pem());
    CHECK_FALSE(fs::exists(file.string() + ".new"));

    const auto loaded = Identity::load_or_create(file);
    REQUIRE(loaded.has_value());
    CHECK(loaded->id() == created->id());
}

TEST_CASE("load_or_create keeps a file that it cannot use") {
    const ScratchDirectory scratch;
    const fs::path file = scratch / "key.pem";
    for (const std::string& text :
         {std::string(), std::string("junk"), std::string(100'000, 'x')}) {
        write_file(file, text);
        const auto refused = Identity::load_or_create(file);
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == Errc::file_error);
        CHECK(refused.error().context.find("key.pem") != std::string::npos);
        CHECK(read_file(file) == text);
    }
}

TEST_CASE("load_or_create says when the file system refuses") {
    const ScratchDirectory scratch;
    const auto no_directory = Identity::load_or_create(scratch / "absent/key.pem");
    REQUIRE_FALSE(no_directory.has_value());
    CHECK(no_directory.error().code == Errc::file_error);
    const auto is_directory = Identity::load_or_create(scratch / "");
    REQUIRE_FALSE(is_directory.has_value());
    CHECK(is_directory.error().code == Errc::file_error);
}

TEST_CASE("a derived secret is the key's and the purpose's") {
    const Identity identity = generated();
    const auto again = Identity::from_pem(identity.private_pem());
    REQUIRE(again.has_value());
    CHECK(identity.derive_secret("one") == again->derive_secret("one"));
    CHECK(identity.derive_secret("one") != identity.derive_secret("two"));
    CHECK(identity.derive_secret("one") != generated().derive_secret("one"));
}

TEST_CASE("random_bytes fills all of its output") {
    random_bytes({});
    for (const std::size_t size : std::initializer_list<std::size_t>{8, 256, 257, 100'000}) {
        Bytes first(size);
        Bytes second(size);
        random_bytes(first);
        random_bytes(second);
        CHECK(first != second);
        CHECK_FALSE(std::equal(first.end() - 8, first.end(), Bytes(8).begin()));
    }
}
