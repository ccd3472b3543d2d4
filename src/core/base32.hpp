// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <flow29/ids.hpp>

/// RFC 4648's base32 alphabet, without padding: written in lower case, read in either.
namespace flow29::core {

inline constexpr std::string_view base32_alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/// The value of a character, 0 to 31; nothing when it is not one of the alphabet.
[[nodiscard]] std::optional<unsigned> base32_digit(char c);

/// ceil(8 * size / 5) characters; the bits of the last one that are left over are 0.
[[nodiscard]] std::string base32_of(ByteView octets);

/// floor(5 * size / 8) octets. Nothing when a character is not of the alphabet, when no octets have
/// so many characters, or when bits that are left over are not 0: each run of octets has one text.
[[nodiscard]] std::optional<Bytes> octets_of_base32(std::string_view text);

}  // namespace flow29::core
