// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/log.hpp"
#include "core/time.hpp"

namespace flow29::core::log {

/// The lines of the log that are kept in memory, for whoever asks for them later.
inline constexpr std::size_t ring_lines_max = 1000;
inline constexpr std::size_t ring_line_bytes_max = 1024;  ///< longer ones are cut

/// A line as it was written.
struct Line {
    std::uint64_t number = 0;  ///< counted from 1 since the start of the program
    WallTime time;
    Level level = Level::info;
    std::string component;
    std::string text;
};

/// The newest lines that follow `after` and are at least as severe as `level`, at most `count_max`
/// of them, oldest first. Safe from any thread. O(ring_lines_max).
[[nodiscard]] std::vector<Line> recent(std::uint64_t after, Level level, std::size_t count_max);

/// For scripts, like "warn".
[[nodiscard]] std::string_view level_name(Level level) noexcept;

}  // namespace flow29::core::log
