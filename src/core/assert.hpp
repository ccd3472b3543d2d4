// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace flow29::core {

/// Prints the broken condition and where it stands, then aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace flow29::core

/// An invariant of the program, on in every build. Never for what a peer, a disk or a user
/// supplies.
#define FLOW29_ASSERT(condition)                                                            \
    do {                                                                                    \
        if (!(condition)) ::flow29::core::assertion_failed(#condition, __FILE__, __LINE__); \
    } while (false)
