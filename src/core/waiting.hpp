// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace flow29::core {

/// Whoever has threads, and must know when one of them only waits for somebody else. Called on that
/// thread.
class Employer {
  public:
    virtual void on_waiting() = 0;
    virtual void on_waited() = 0;

  protected:
    ~Employer() = default;
};

/// Of this thread, as long as it works for one.
inline thread_local Employer* employer = nullptr;

/// While it lives, this thread waits for somebody who may take as long as he likes.
class Waiting {
  public:
    Waiting() : of_(employer) {
        if (of_ != nullptr) of_->on_waiting();
    }
    ~Waiting() {
        if (of_ != nullptr) of_->on_waited();
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

  private:
    Employer* of_;
};

}  // namespace flow29::core
