// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/invite.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/base32.hpp"
#include "core/hash.hpp"

namespace flow29::core {
namespace {

SwarmKey counting_key() {
    SwarmKey key;
    for (std::size_t i = 0; i < key.bytes.size(); ++i)
        key.bytes[i] = static_cast<std::uint8_t>(i);
    return key;
}

Invite sample(bool is_private) {
    Invite invite;
    invite.addresses = {"192.0.2.1:2929", "[2001:db8::1]:1", "node.example.org:65535"};
    if (is_private) invite.key = counting_key();
    return invite;
}

std::string problem_of(std::string_view text) {
    const auto parsed = Invite::parse(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Errc::usage);
    return parsed.error().message();
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// With a right checksum, whatever is in it.
std::string word_of(ByteView body) {
    const std::string_view domain = "flow29 invite";
    const auto digest = sha256(
        {ByteView(reinterpret_cast<const std::uint8_t*>(domain.data()), domain.size()), body});
    Bytes octets(body.begin(), body.end());
    octets.insert(octets.end(), digest.begin(), digest.begin() + 4);
    return "flow29i:" + base32_of(octets);
}

TEST_CASE("an invite is read as it was written") {
    for (const bool is_private : {false, true}) {
        const Invite invite = sample(is_private);
        const std::string word = invite.to_string();
        CHECK(word.starts_with("flow29i:"));
        CHECK(Invite::parse(word).value() == invite);
    }
}

TEST_CASE("an invite of the fewest and of the most addresses is read") {
    Invite invite;
    invite.addresses = {"127.0.1.1:1"};
    CHECK(Invite::parse(invite.to_string()).value() == invite);
    invite.addresses.assign(Invite::addresses_max,
                            std::string(Invite::host_bytes_max, 'x') + ":65535");
    invite.key = counting_key();
    CHECK(Invite::parse(invite.to_string()).value() == invite);
    CHECK(has(problem_of(invite.to_string() + "a"), "more than"));
}

TEST_CASE("case, blanks and hyphens in an invite do not matter") {
    std::string word = sample(true).to_string();
    std::ranges::transform(word, word.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    });
    const std::string pasted =
        fmt::format("  {} \n{}-{}\n", word.substr(0, 20), word.substr(20, 20), word.substr(40));
    CHECK(Invite::parse(pasted).value() == sample(true));
}

TEST_CASE("every single wrong character is found, and named with what it was") {
    const std::string word = sample(true).to_string();
    const std::size_t first = word.find(':') + 1;
    for (std::size_t i = first; i < word.size(); ++i) {
        // Looking for what it was takes long enough not to try all letters in all places.
        for (std::size_t k = 0; k < 2; ++k) {
            std::string wrong = word;
            wrong[i] = base32_alphabet[(i + 11 * k) % base32_alphabet.size()];
            if (wrong[i] == word[i]) continue;
            const auto parsed = Invite::parse(wrong);
            REQUIRE_FALSE(parsed);
        }
        std::string wrong = word;
        wrong[i] = word[i] == 'a' ? 'b' : 'a';
        const std::string problem = problem_of(wrong);
        CHECK_MESSAGE(has(problem, "character " + std::to_string(i + 1) + " "), problem);
        CHECK_MESSAGE(has(problem, std::string("probably '") + word[i]), problem);
    }
}

TEST_CASE("an invite that was cut, lengthened or swapped is refused") {
    const std::string word = sample(true).to_string();
    for (std::size_t length = word.find(':') + 1; length < word.size(); ++length)
        REQUIRE_FALSE(Invite::parse(word.substr(0, length)));
    CHECK(has(problem_of(word.substr(0, word.size() / 2)), "ends too early"));
    CHECK_FALSE(Invite::parse(word + "a"));
    CHECK_FALSE(Invite::parse(word + word.substr(8)));
    for (std::size_t i = 8; i + 1 < word.size(); ++i) {
        std::string swapped = word;
        std::swap(swapped[i], swapped[i + 1]);
        if (swapped != word) REQUIRE_FALSE(Invite::parse(swapped));
    }
}

TEST_CASE("what is not an invite is refused with its reason") {
    CHECK(has(problem_of(""), "empty"));
    CHECK(has(problem_of(" \n"), "empty"));
    CHECK(has(problem_of("flow29:abc"), "begins with flow29i:"));
    CHECK(has(problem_of("flow29i:ab!c"), "character 11 of the invite ('!')"));
    CHECK(has(problem_of("flow29i:"), "ends too early"));
}

TEST_CASE("in a very long invite no wrong character is looked for") {
    Invite invite;
    for (std::size_t i = 0; i < Invite::addresses_max; ++i)
        invite.addresses.push_back(std::string(Invite::host_bytes_max, 'a') + ":1");
    std::string word = invite.to_string();
    CHECK(Invite::parse(word).value() == invite);
    word[word.size() / 2] = word[word.size() / 2] == 'a' ? 'b' : 'a';
    CHECK(has(problem_of(word), "checksum is wrong; paste it anew"));
}

TEST_CASE("an address is not taken for a host's name") {
    for (const std::string_view host : {"192.0.2.1", "0.0.0.0"}) {
        Bytes octets{1, 0, 1, 0, static_cast<std::uint8_t>(host.size())};
        octets.insert(octets.end(), host.begin(), host.end());
        octets.insert(octets.end(), {11, 113});
        CHECK(has(problem_of(word_of(octets)), "nothing that makes sense"));
        octets[octets.size() - 3] = 'x';
        CHECK(Invite::parse(word_of(octets)));
    }
}

TEST_CASE("only what a node can be dialled at is invitable") {
    CHECK(check_invitable("192.0.2.1:2929"));
    CHECK(check_invitable("[::1]:1"));
    CHECK(check_invitable("a-host.example:2929"));
    for (const char* const bad : {"", "host", "host:", ":1", "host:0", "host:65536", "host:1x",
                                  "0.0.0.0:1", "[::]:1", "a b:1", "2001:db8::1:5"})
        CHECK_FALSE_MESSAGE(check_invitable(bad), bad);
}

}  // namespace
}  // namespace flow29::core
