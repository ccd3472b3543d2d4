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
    /// Waits for a signal; true when one came. A negative duration waits for ever.
    [[nodiscard]] bool wait_for(std::chrono::milliseconds duration);

  private:
    api::UniqueFd fd_;
};

}  // namespace flow29::cli
