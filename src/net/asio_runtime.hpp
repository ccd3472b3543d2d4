// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "net/runtime.hpp"
#include "net/worker_pool.hpp"

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <map>

namespace flow29::net {

/// The real clock, the operating system's randomness, and a pool of as many workers as there are
/// cores, at least two.
///
/// It owns its io_context, because the end is delicate: workers first, so that none posts to what
/// is gone; then every wait on a timer; then the io_context with every suspended coroutine, whose
/// locals may still cancel timers here.
class AsioRuntime final : public Runtime {
  public:
    AsioRuntime();
    /// Outside of run() only. Waits for the jobs that have begun, drops those that have not.
    ~AsioRuntime() override;

    [[nodiscard]] asio::io_context& context() { return *context_; }
    /// Runs what there is to do, on this thread, until stop().
    void run();
    /// From any thread.
    void stop();

    [[nodiscard]] asio::any_io_executor executor() override;
    [[nodiscard]] TimePoint now() const override;
    [[nodiscard]] WallTime wall_now() const override;
    [[nodiscard]] std::mt19937_64& random() override { return random_; }
    TimerId add_timer(TimePoint when, std::function<void()> fire) override;
    void cancel_timer(TimerId id) override;
    void run_on_worker(std::function<void()> job, std::function<void()> done) override;

  private:
    void arm();
    void on_timer();

    std::mt19937_64 random_;
    TimerId last_timer_ = 0;
    std::map<std::pair<TimePoint, TimerId>, std::function<void()>> timers_;
    std::map<TimerId, TimePoint> deadlines_;
    TimePoint armed_for_ = TimePoint::max();
    std::unique_ptr<asio::io_context> context_;
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
    std::optional<asio::steady_timer> timer_;
    std::optional<WorkerPool> workers_;
};

}  // namespace flow29::net
