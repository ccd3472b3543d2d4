// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>

#include "core/time.hpp"

/// The clocks of this machine, for what touches it. Whatever decides is told the time
/// (docs/decisions/0003-deciding-without-io.md).
namespace flow29::core {

[[nodiscard]] inline TimePoint monotonic_now() {
    return TimePoint(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

[[nodiscard]] inline WallTime wall_now() {
    return std::chrono::floor<WallTime::duration>(std::chrono::system_clock::now());
}

}  // namespace flow29::core
