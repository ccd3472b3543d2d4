// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/printable.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace flow29::core {
namespace {

/// Whether the three octets are a UTF-8 character that turns the writing direction of what follows:
/// U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069.
bool turns_direction(std::string_view octets) {
    if (octets.size() < 3 || octets[0] != '\xe2') return false;
    const auto last = static_cast<unsigned char>(octets[2]);
    if (octets[1] == '\x80')
        return (last >= 0x8e && last <= 0x8f) || (last >= 0xaa && last <= 0xae);
    return octets[1] == '\x81' && last >= 0xa6 && last <= 0xa9;
}

/// Of the character at the front of `text` when it must not be shown; 0 when it may.
std::size_t unfit_octets(std::string_view text) {
    const auto second = text.size() > 1 ? static_cast<unsigned char>(text[1]) : 0U;
    // C1 control characters are C2 80 to C2 9F in UTF-8.
    if (text.front() == '\xc2' && second >= 0x80 && second <= 0x9f) return 2;
    if (text.front() == '\xd8' && second == 0x9c) return 2;  // U+061C turns the direction as well
    if (turns_direction(text)) return 3;
    const auto first = static_cast<unsigned char>(text.front());
    return first < 0x20 || first == 0x7f ? 1 : 0;
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const std::size_t unfit = unfit_octets(text);
        for (const char octet : text.substr(0, unfit))
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(octet));
        if (unfit == 0) out.push_back(text.front());
        text.remove_prefix(std::max<std::size_t>(unfit, 1));
    }
    return out;
}

}  // namespace flow29::core
