// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace flow29::api {

/// What waits for the disk, and for which neither the node's thread nor a page should: done one
/// after the other, on a thread of its own. All that was handed in before the destructor was called
/// is done when it returns.
class Chores {
  public:
    /// Takes them in, from any thread. It may outlive whoever does them: then they are dropped.
    class Desk {
      public:
        using Chore = std::function<void()>;
        void hand_in(Chore chore) const;

      private:
        friend class Chores;
        struct Waiting {
            std::mutex mutex;
            std::condition_variable_any wake;
            std::vector<Chore> chores;
            bool closed = false;
        };
        std::shared_ptr<Waiting> waiting_ = std::make_shared<Waiting>();
    };
    /// What there is to do besides: after chores were done, and at the latest when `pause` has
    /// passed. Both are called on the thread.
    struct Round {
        std::function<void(const std::stop_token& stop)> work;
        std::function<std::chrono::milliseconds()> pause;
    };

    Chores(const Desk& desk, Round round);

  private:
    static void run(Desk::Waiting& waiting, const Round& round, const std::stop_token& stop);

    std::jthread thread_;
};

}  // namespace flow29::api
