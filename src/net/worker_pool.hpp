// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include "core/waiting.hpp"

namespace flow29::net {

/// Threads that do jobs, as many as were asked for. For each of them that is in a job and only
/// waits (core::Waiting) there is another one meanwhile, up to limits::workers_extra_max, so that
/// who lets a node wait holds up nobody else.
class WorkerPool final : private core::Employer {
  public:
    explicit WorkerPool(std::size_t threads);
    /// Waits for the jobs that have begun, drops those that have not.
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// From any thread.
    void post(std::function<void()> job);
    [[nodiscard]] std::size_t threads();

  private:
    void on_waiting() override;
    void on_waited() override;
    void start();  // with the mutex

    asio::io_context jobs_;
    asio::executor_work_guard<asio::io_context::executor_type> open_;
    std::mutex mutex_;
    std::list<std::thread> threads_;
    std::list<std::thread> ended_;  // to be joined
    std::size_t wanted_;            // besides those that wait
    std::size_t waiting_ = 0;
    bool is_ending_ = false;
};

}  // namespace flow29::net
