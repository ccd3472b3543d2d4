// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include <fmt/core.h>

namespace flow29::core::log {

enum class Level { debug, info, warn, error };

/// Everything below `level` is dropped. Safe from any thread. Default: warn.
void set_level(Level level);
[[nodiscard]] bool enabled(Level level);
/// One line to standard error: time, level, component, text. Control characters in `text` are
/// escaped, because names and error texts come from peers.
void write(Level level, std::string_view component, std::string_view text);

template <class... Args>
void debug(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::debug))
        write(Level::debug, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::info))
        write(Level::info, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::warn))
        write(Level::warn, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::error))
        write(Level::error, component, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace flow29::core::log
