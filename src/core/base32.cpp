// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base32.hpp"

namespace flow29::core {

std::optional<unsigned> base32_digit(char c) {
    // Locale-free: a text reads the same everywhere.
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const auto found = base32_alphabet.find(lower);
    if (found == std::string_view::npos) return std::nullopt;
    return static_cast<unsigned>(found);
}

std::string base32_of(ByteView octets) {
    std::string out;
    out.reserve((8 * octets.size() + 4) / 5);
    std::uint32_t pending = 0;
    unsigned pending_bits = 0;
    for (const std::uint8_t octet : octets) {
        pending = (pending << 8U) | octet;
        pending_bits += 8;
        while (pending_bits >= 5) {
            pending_bits -= 5;
            out.push_back(base32_alphabet[(pending >> pending_bits) & 31U]);
        }
        pending &= (1U << pending_bits) - 1;
    }
    if (pending_bits != 0) out.push_back(base32_alphabet[(pending << (5 - pending_bits)) & 31U]);
    return out;
}

std::optional<Bytes> octets_of_base32(std::string_view text) {
    Bytes octets;
    octets.reserve(5 * text.size() / 8);
    std::uint32_t pending = 0;
    unsigned pending_bits = 0;
    for (const char c : text) {
        const auto digit = base32_digit(c);
        if (!digit) return std::nullopt;
        pending = (pending << 5U) | *digit;
        pending_bits += 5;
        if (pending_bits < 8) continue;
        pending_bits -= 8;
        octets.push_back(static_cast<std::uint8_t>(pending >> pending_bits));
        pending &= (1U << pending_bits) - 1;
    }
    if (pending_bits >= 5 || pending != 0) return std::nullopt;
    return octets;
}

}  // namespace flow29::core
