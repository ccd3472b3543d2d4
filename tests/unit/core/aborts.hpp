// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace flow29::core::test {

/// True when `call` ends the process by SIGABRT, as a broken precondition must. Runs it in a child.
template <class Call>
[[nodiscard]] bool aborts(const Call& call) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGABRT, SIG_DFL);  // not the test framework's handler
        ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
        call();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

}  // namespace flow29::core::test
