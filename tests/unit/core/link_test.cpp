// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/link.hpp>

#include <doctest/doctest.h>

#include <numeric>

namespace flow29 {
namespace {

/// Octets 0, 1, … 31.
RootHash counting_root() {
    RootHash root;
    std::iota(root.bytes.begin(), root.bytes.end(), std::uint8_t{0});
    return root;
}

// RFC 4648 base32 of octets 0 to 31, made with another implementation.
const std::string counting_base32 = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq";
const std::string counting_hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

std::string upper(std::string text) {
    for (char& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return text;
}

std::string error_of(std::string_view text) {
    const auto link = Link::parse(text);
    REQUIRE_FALSE(link);
    CHECK(link.error().code == Errc::usage);
    return link.error().context;
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("base32 of a root is that of RFC 4648 in lower case, both ways") {
    CHECK(to_base32(counting_root()) == counting_base32);
    CHECK(root_from_base32(counting_base32).value() == counting_root());
    RootHash ones;
    ones.bytes.fill(0xff);
    CHECK(to_base32(ones) == std::string(51, '7') + "q");
    CHECK(root_from_base32(to_base32(ones)).value() == ones);
    CHECK(to_base32(RootHash{}) == std::string(52, 'a'));
}

TEST_CASE("a root's last character carries one bit only") {
    std::string text = counting_base32;
    text.back() = 'r';
    const auto root = root_from_base32(text);
    REQUIRE_FALSE(root);
    CHECK(contains(root.error().context, "character 52 ('r')"));
}

TEST_CASE("every accepted form of a link names the same root") {
    for (const std::string& text :
         {"flow29:" + counting_base32, counting_base32, counting_hex, upper(counting_hex),
          "FLOW29:" + upper(counting_base32), "web+flow:" + counting_base32,
          "web+flow://" + counting_base32, "  flow29:" + counting_base32 + "\n",
          "flow29:" + counting_hex, "http://127.0.0.1:2931/f/" + counting_base32,
          "https://[::1]/f/" + counting_hex}) {
        CAPTURE(text);
        const auto link = Link::parse(text);
        REQUIRE(link);
        CHECK(link->root == counting_root());
        CHECK(link->path.empty());
    }
}

TEST_CASE("a full link comes back as it was written") {
    Link link;
    link.root = counting_root();
    link.path = "photos/summer & sun.jpg";
    link.name = "a b?c#d%e=f+g é";
    link.size = ByteCount(8'388'608);
    link.at = {"192.0.2.1:2929", "[2001:db8::1]:2929"};
    link.key = "AbC-_9";
    const std::string text = link.to_string();
    CHECK(text.find(' ') == std::string::npos);
    CHECK(
        contains(text, "?name=a%20b%3Fc%23d%25e%3Df%2Bg%20%C3%A9&size=8388608&at=192.0.2.1:2929&"));
    const auto parsed = Link::parse(text);
    REQUIRE(parsed);
    CHECK(*parsed == link);
}

TEST_CASE("a gateway's URL carries the path inside a directory") {
    const auto link =
        Link::parse("http://localhost:2931/f/" + counting_base32 + "/a/b%20c?x=1#top");
    REQUIRE(link);
    CHECK(link->path == "a/b c");
    CHECK(link->key.empty());
}

TEST_CASE("unknown fields of a link are skipped and the list of addresses is bounded") {
    std::string text = counting_base32 + "?later=1&&name=n";
    for (int i = 0; i < 100; ++i)
        text += "&at=h:1";
    const auto link = Link::parse(text + "#z=1&k=secret");
    REQUIRE(link);
    CHECK(link->name == "n");
    CHECK(link->at.size() == 8);
    CHECK(link->key == "secret");
}

TEST_CASE("a character outside the alphabet is named with its position in the text") {
    std::string text = "flow29:" + counting_base32;
    text[9] = '1';
    CHECK(contains(error_of(text), "character 10 ('1') is not one of a-z and 2-7"));
    std::string hex = counting_hex;
    hex[63] = 'g';
    CHECK(contains(error_of(hex), "character 64 ('g') is not one of 0-9 and a-f"));
    std::string control = counting_base32;
    control[0] = '\x01';
    CHECK(contains(error_of(control), "character 1 (byte 0x01)"));
}

TEST_CASE("a wrong length is named") {
    CHECK(contains(error_of(counting_base32.substr(1)), "51 characters instead of 52"));
    CHECK(contains(error_of("flow29:" + counting_base32 + "a"), "53 characters instead of 52"));
    CHECK(contains(error_of("flow29:"), "0 characters"));
    CHECK(contains(error_of("flow29:abc!"), "character 11 ('!')"));
    CHECK(contains(root_from_base32(counting_hex).error().context, "64 characters instead of 52"));
}

TEST_CASE("malformed links are refused with what is wrong") {
    CHECK(contains(error_of(""), "empty"));
    CHECK(contains(error_of(" \n"), "empty"));
    CHECK(contains(error_of("magnet:?xt=urn"), "\"magnet:\""));
    CHECK(contains(error_of("http://host/g/x"), "/f/"));
    CHECK(contains(error_of("http:" + counting_base32), "/f/"));
    CHECK(contains(error_of(counting_base32 + "?size=12x"), "size"));
    CHECK(contains(error_of(counting_base32 + "?name=%4"), "character 59 ('%')"));
    CHECK(contains(error_of(counting_base32 + "/a%00b"), "zero byte"));
    CHECK(contains(error_of(counting_base32 + "/a" + std::string(1, '\0') + "b"), "zero byte"));
    CHECK(contains(error_of(counting_base32 + "?name=a" + std::string(1, '\0')), "zero byte"));
    CHECK(contains(error_of(counting_base32 + "/" + std::string(5000, 'a')), "longer than"));
}

}  // namespace flow29
