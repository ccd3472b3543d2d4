// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/swarm_key.hpp"

#include "core/assert.hpp"
#include "core/base32.hpp"
#include "core/identity.hpp"
#include "core/small_file.hpp"

#include <fmt/format.h>

namespace flow29::core {
namespace {

constexpr std::size_t base32_chars = 52;
constexpr std::size_t hex_chars = 2 * SwarmKey::size;
// Anybody's access, and the group's writing: a group may be meant to read it, as with systemd.
constexpr unsigned too_open = 0027;

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    const auto first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) + 1 - first);
}

}  // namespace

SwarmKey new_swarm_key() {
    SwarmKey key;
    random_bytes(key.bytes);
    return key;
}

Result<SwarmKey> parse_swarm_key(std::string_view text) {
    text = trimmed(text);
    std::optional<Bytes> octets;
    if (text.size() == base32_chars) octets = octets_of_base32(text);
    if (text.size() == hex_chars) octets = from_hex(text);
    if (octets)
        if (const auto key = SwarmKey::from(*octets)) return *key;
    if (text.size() == base32_chars || text.size() == hex_chars)
        return fail(Errc::usage, fmt::format("a swarm key is {} characters of base32 or {} "
                                             "hexadecimal digits; a character is neither",
                                             base32_chars, hex_chars));
    return fail(Errc::usage,
                fmt::format("a swarm key has {} characters of base32 or {} hexadecimal digits, "
                            "not {}",
                            base32_chars, hex_chars, text.size()));
}

std::string swarm_key_text(const SwarmKey& key) {
    return base32_of(key.view()) + "\n";
}

Result<std::optional<SwarmKey>> load_swarm_key(const std::filesystem::path& path) {
    const auto file = read_small_file(path);
    if (!file) return fail(file.error());
    if (!*file) return std::optional<SwarmKey>();
    if (((*file)->mode & too_open) != 0)
        return fail(Errc::refused,
                    fmt::format("{} is a secret, but its mode {:o} lets others in; `chmod 600 {}`",
                                path.string(), (*file)->mode, path.string()));
    const auto key = parse_swarm_key((*file)->text);
    if (!key) return fail(Errc::file_error, path.string() + ": " + key.error().message());
    return std::optional<SwarmKey>(*key);
}

Result<void> save_swarm_key(const std::filesystem::path& path, const SwarmKey& key) {
    return write_small_file(path, swarm_key_text(key));
}

SwarmName name_of_swarm(const std::optional<SwarmKey>& key) {
    if (!key) return {};
    const auto name = SwarmName::from(derive_key(*key, "swarm-name", SwarmName::size));
    FLOW29_ASSERT(name.has_value());
    return *name;
}

Bytes derive_key(const SwarmKey& key, std::string_view purpose, std::size_t octets) {
    const std::string info = "flow29/" + std::string(purpose);
    return hkdf_sha256({}, key.view(),
                       {reinterpret_cast<const std::uint8_t*>(info.data()), info.size()}, octets);
}

}  // namespace flow29::core
