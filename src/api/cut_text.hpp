// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string_view>

namespace flow29::api {

/// The beginning of UTF-8 text, at most so many octets of it, and no character in parts.
[[nodiscard]] inline std::string_view cut_text(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return text;
    constexpr auto is_inside = [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
    };
    std::size_t end = bytes_max;
    while (end > 0 && is_inside(text[end]))
        --end;
    return text.substr(0, end);
}

}  // namespace flow29::api
