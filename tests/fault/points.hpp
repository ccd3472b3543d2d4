// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <dlfcn.h>

#include <climits>

#include "shim.hpp"
#include "unsynced.hpp"

namespace flow29::fault {

/// The system call itself: what is called `syscall` below is ours.
template <class... Args>
long pass(long number, Args... args) {
    using Syscall = long (*)(long, ...);
    static const auto next = reinterpret_cast<Syscall>(::dlsym(RTLD_NEXT, "syscall"));
    return next(number, args...);
}

/// Room for a path; empty when it cannot be known.
struct Path {
    char text[PATH_MAX + 64] = "";
};
/// What an open descriptor is of.
void path_of(int fd, Path& path);
/// The absolute path of `name`, which starts at `directory` or AT_FDCWD.
void path_of(int directory, const char* name, Path& path);

/// Whether there is anybody who may want faults.
[[nodiscard]] bool is_ruled();
/// Counts a call on `path` as a point if it is one; what is to become of it. Does not return where
/// the process is to die before it.
[[nodiscard]] Kind decide(Op op, const char* name, const Path& path);
[[noreturn]] void die();

/// Whether account is to be kept of what is done to this path.
[[nodiscard]] bool is_tracked(const Path& path);
[[nodiscard]] Unsynced& account();

}  // namespace flow29::fault
