// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string_view>

namespace flow29::core {

/// Whether arrays and objects lie within each other more than `depth` deep in a JSON text.
/// Libraries copy, print and compare values by recursion, so what comes from others is looked at
/// before. Of what is no JSON the answer means nothing.
[[nodiscard]] constexpr bool is_nested_beyond(std::string_view json, std::size_t depth) {
    std::size_t open = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++open > depth) return true;
        } else if ((c == ']' || c == '}') && open > 0) {
            --open;
        }
    }
    return false;
}

}  // namespace flow29::core
