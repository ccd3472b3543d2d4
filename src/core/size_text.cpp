// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/size_text.hpp"

#include <array>
#include <string_view>

#include <fmt/format.h>

namespace flow29::core {

std::string size_text(ByteCount size) {
    constexpr std::array<std::string_view, 6> names{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    constexpr double kibi = 1024;
    if (size.value < 1024) return fmt::format("{} B", size.value);
    auto value = static_cast<double>(size.value);
    std::size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < names.size()) {
        value /= kibi;
        ++unit;
    }
    return fmt::format("{:.1f} {}", value, names[unit]);
}

}  // namespace flow29::core
