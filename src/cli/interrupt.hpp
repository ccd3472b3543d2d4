// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>

#include "api/unique_fd.hpp"

namespace flow29::cli {

/// Turns SIGINT, SIGTERM and SIGHUP into something to poll, and SIGPIPE off. Made in main before
/// any other thread, because threads inherit the signal mask.
class Interrupt {
  public:
    Interrupt();

    /// Readable once a signal has come.
    [[nodiscard]] int fd() const { return fd_.get(); }
    /// True when a signal came since the last call.
    [[nodiscard]] bool take();
    /// True when one was ever taken.
    [[nodiscard]] bool was_taken() const { return taken_; }
    /// Waits for a signal; true when one came. A negative duration waits for ever.
    [[nodiscard]] bool wait_for(std::chrono::milliseconds duration);

    /// As if a signal had come. From any thread.
    void request();

    /// From now on the next signal ends the process: whoever asks twice does not want to wait.
    void restore();

  private:
    api::UniqueFd fd_;
    bool taken_ = false;
};

}  // namespace flow29::cli
