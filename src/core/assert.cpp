// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace flow29::core {

void assertion_failed(const char* condition, const char* file, int line) {
    // stdio, not the log: the program is broken, so as little of it as possible is trusted.
    std::fprintf(stderr, "flow29: broken invariant at %s:%d: %s\n", file, line, condition);
    std::fflush(stderr);
    std::abort();
}

}  // namespace flow29::core
