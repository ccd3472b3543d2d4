// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/interrupt.hpp"

#include <poll.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

namespace flow29::cli {

namespace {

sigset_t watched_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        sigaddset(&signals, signal);
    return signals;
}

}  // namespace

Interrupt::Interrupt() {
    const sigset_t signals = watched_signals();
    // A script's background job starts with SIGINT ignored, and what is ignored never arrives.
    // SIGHUP stays ignored when it is: that is what nohup means.
    for (const int signal : {SIGINT, SIGTERM})
        static_cast<void>(std::signal(signal, SIG_DFL));
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
    fd_.reset(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!fd_) throw std::system_error(errno, std::generic_category(), "signalfd");
}

bool Interrupt::take() {
    signalfd_siginfo info{};
    const bool came = ::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info);
    taken_ |= came;
    return came;
}

void Interrupt::request() {
    // Of the process, not the thread: whichever thread reads the descriptor gets it.
    ::kill(::getpid(), SIGTERM);
}

void Interrupt::restore() {
    const sigset_t signals = watched_signals();
    ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

bool Interrupt::wait_for(std::chrono::milliseconds duration) {
    pollfd waited{fd_.get(), POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&waited, 1, static_cast<int>(duration.count()));
    } while (ready < 0 && errno == EINTR);
    return ready > 0 && take();
}

}  // namespace flow29::cli
