// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base32.hpp"

namespace flow29::core {
namespace {

constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr unsigned digit_bits = 5;

// Locale-free: what is written reads the same everywhere.
std::optional<unsigned> value_of(char c) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const auto found = alphabet.find(lower);
    if (found == std::string_view::npos) return std::nullopt;
    return static_cast<unsigned>(found);
}

}  // namespace

std::string to_base32(ByteView raw) {
    std::string out;
    out.reserve((raw.size() * 8 + digit_bits - 1) / digit_bits);
    std::uint32_t pending = 0;
    unsigned bits = 0;
    for (const std::uint8_t octet : raw) {
        pending = (pending << 8U) | octet;
        bits += 8;
        while (bits >= digit_bits) {
            bits -= digit_bits;
            out.push_back(alphabet[pending >> bits & 31U]);
        }
        pending &= (1U << bits) - 1;
    }
    if (bits > 0) out.push_back(alphabet[pending << (digit_bits - bits) & 31U]);
    return out;
}

std::optional<Bytes> from_base32(std::string_view text) {
    Bytes out;
    out.reserve(text.size() * digit_bits / 8);
    std::uint32_t pending = 0;
    unsigned bits = 0;
    for (const char c : text) {
        const auto value = value_of(c);
        if (!value) return std::nullopt;
        pending = (pending << digit_bits) | *value;
        bits += digit_bits;
        if (bits < 8) continue;
        bits -= 8;
        out.push_back(static_cast<std::uint8_t>(pending >> bits));
        pending &= (1U << bits) - 1;
    }
    if (bits >= digit_bits || pending != 0) return std::nullopt;
    return out;
}

}  // namespace flow29::core
