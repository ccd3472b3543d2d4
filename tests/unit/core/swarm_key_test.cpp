// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/swarm_key.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "core/base32.hpp"
#include "core/small_file.hpp"

namespace flow29::core {
namespace {

/// A directory that goes with the test.
class TemporaryDirectory {
  public:
    TemporaryDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "flow29-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::filesystem::path operator/(const char* name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

void write(const std::filesystem::path& path, std::string_view text, unsigned mode = 0600) {
    std::ofstream(path) << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
}

TEST_CASE("a key file that is a pipe without a writer is not waited for") {
    const TemporaryDirectory directory;
    const auto path = directory / "pipe";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    const auto read = read_small_file(path);
    REQUIRE(read);
    REQUIRE(*read);
    CHECK((*read)->text.empty());
}

TEST_CASE("base32 is RFC 4648's, without padding") {
    const auto of = [](std::string_view text) {
        return base32_of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    };
    CHECK(of("") == "");
    CHECK(of("f") == "my");
    CHECK(of("fo") == "mzxq");
    CHECK(of("foo") == "mzxw6");
    CHECK(of("foob") == "mzxw6yq");
    CHECK(of("fooba") == "mzxw6ytb");
    CHECK(of("foobar") == "mzxw6ytboi");
    for (const char* const text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
        const auto octets = octets_of_base32(of(text));
        REQUIRE(octets);
        CHECK(std::string(octets->begin(), octets->end()) == text);
    }
    for (const char* const bad : {"a", "mz", "mzx", "mzxw6y", "m1", "my======"})
        CHECK_FALSE_MESSAGE(octets_of_base32(bad), bad);
    CHECK(octets_of_base32("MZXW6") == octets_of_base32("mzxw6"));
}

TEST_CASE("a swarm key is read from base32 and from hexadecimal") {
    const SwarmKey key = new_swarm_key();
    CHECK(parse_swarm_key(swarm_key_text(key)).value() == key);
    CHECK(parse_swarm_key("  " + to_hex(key.view()) + "\r\n").value() == key);
    CHECK(new_swarm_key() != key);
    const std::string hex = to_hex(key.view());
    for (const std::string& bad : {std::string(), hex.substr(1), hex + "0", std::string(64, 'g'),
                                   std::string(52, '1'), std::string(52, 'b')}) {
        const auto parsed = parse_swarm_key(bad);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == Errc::usage);
        // Nothing of the secret is repeated.
        if (!bad.empty()) CHECK(parsed.error().message().find(bad) == std::string::npos);
    }
}

TEST_CASE("a swarm key's file is whole, private and right, or an error") {
    const TemporaryDirectory directory;
    const auto path = directory / "swarm.key";
    CHECK_FALSE(load_swarm_key(path).value().has_value());
    const SwarmKey key = new_swarm_key();
    REQUIRE(save_swarm_key(path, key));
    CHECK(load_swarm_key(path).value() == key);
    struct stat facts {};
    REQUIRE(::stat(path.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777U) == 0600U);

    const auto code_of = [](const auto& result) { return result ? Errc::ok : result.error().code; };
    for (const unsigned mode : {0604U, 0602U, 0601U, 0620U, 0644U}) {
        write(path, swarm_key_text(key), mode);
        CHECK(code_of(load_swarm_key(path)) == Errc::refused);
    }
    write(path, swarm_key_text(key), 0440);
    CHECK(code_of(load_swarm_key(path)) == Errc::ok);
    ::unlink(path.c_str());
    write(path, "short");
    CHECK(code_of(load_swarm_key(path)) == Errc::file_error);
    write(path, std::string(100'000, 'a'));
    CHECK(code_of(load_swarm_key(path)) == Errc::file_error);
    CHECK(code_of(load_swarm_key(directory / "")) == Errc::file_error);
}

TEST_CASE("keys of different purposes are different, and each is what RFC 5869 says") {
    SwarmKey key;
    key.bytes.fill(0x0b);
    CHECK(derive_key(key, "a", 32) != derive_key(key, "b", 32));
    CHECK(derive_key(key, "a", 64).size() == 64);
    // By hand: T(1) = HMAC(HMAC(zeroes, key), info | 1).
    const Bytes zeroes(32, 0);
    const auto extracted = hmac_sha256(zeroes, {key.view()});
    const std::string info = "flow29/a";
    const Bytes one{1};
    const auto expanded = hmac_sha256(
        extracted, {{reinterpret_cast<const std::uint8_t*>(info.data()), info.size()}, one});
    CHECK(derive_key(key, "a", 32) == Bytes(expanded.begin(), expanded.end()));
}

TEST_CASE("HMAC-SHA256 is RFC 4231's") {
    const Bytes key(20, 0x0b);
    const std::string text = "Hi There";
    const ByteView data(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    const auto digest = hmac_sha256(key, {data.first(3), data.subspan(3)});
    CHECK(to_hex(digest) == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    CHECK(equal_secrets(digest, digest));
    auto other = digest;
    other[31] ^= 1;
    CHECK_FALSE(equal_secrets(digest, other));
    CHECK_FALSE(equal_secrets(digest, ByteView(digest).first(31)));
}

TEST_CASE("a swarm's name follows from its key, and the public swarm's is zero") {
    const SwarmKey key = new_swarm_key();
    CHECK(name_of_swarm(std::nullopt).is_zero());
    CHECK(name_of_swarm(key) == name_of_swarm(key));
    CHECK_FALSE(name_of_swarm(key).is_zero());
    CHECK(name_of_swarm(key) != name_of_swarm(new_swarm_key()));
}

}  // namespace
}  // namespace flow29::core
