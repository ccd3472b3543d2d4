// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string_view>

namespace flow29::core {

/// Whether `text` could be UTF-8: each lead octet has as many octets after it as it says.
[[nodiscard]] inline bool is_utf8(std::string_view text) {
    std::size_t i = 0;
    while (i < text.size()) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80                   ? 1
                                   : lead >= 0xf0 && lead < 0xf5 ? 4
                                   : lead >= 0xe0 && lead < 0xf0 ? 3
                                   : lead >= 0xc2 && lead < 0xe0 ? 2
                                                                 : 0;
        if (length == 0 || i + length > text.size()) return false;
        for (std::size_t k = 1; k < length; ++k)
            if ((static_cast<unsigned char>(text[i + k]) & 0xc0U) != 0x80) return false;
        i += length;
    }
    return true;
}

}  // namespace flow29::core
