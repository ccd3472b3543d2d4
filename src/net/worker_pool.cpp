// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/worker_pool.hpp"

#include <algorithm>
#include <utility>

#include <asio/post.hpp>
#include <flow29/limits.hpp>

namespace flow29::net {

WorkerPool::WorkerPool(std::size_t threads) : open_(jobs_.get_executor()), wanted_(threads) {
    const std::lock_guard lock(mutex_);
    while (threads_.size() < wanted_)
        start();
}

WorkerPool::~WorkerPool() {
    {
        const std::lock_guard lock(mutex_);
        is_ending_ = true;
    }
    jobs_.stop();
    // From here on nobody else touches the lists.
    for (auto* const threads : {&threads_, &ended_})
        for (auto& thread : *threads)
            thread.join();
}

void WorkerPool::post(std::function<void()> job) {
    asio::post(jobs_, std::move(job));
}

void WorkerPool::on_waiting() {
    const std::lock_guard lock(mutex_);
    ++waiting_;
    const auto extra = std::min(waiting_, limits::workers_extra_max);
    if (!is_ending_ && threads_.size() < wanted_ + extra) start();
}

void WorkerPool::on_waited() {
    const std::lock_guard lock(mutex_);
    --waiting_;
}

std::size_t WorkerPool::threads() {
    const std::lock_guard lock(mutex_);
    return threads_.size();
}

void WorkerPool::start() {
    for (auto& thread : std::exchange(ended_, {}))
        thread.join();
    const auto self = threads_.emplace(threads_.end());
    *self = std::thread([this, self] {
        core::employer = this;
        while (jobs_.run_one() != 0) {
            const std::lock_guard lock(mutex_);
            if (is_ending_ || threads_.size() <= wanted_ + waiting_) continue;
            ended_.splice(ended_.end(), threads_, self);
            return;
        }
    });
}

}  // namespace flow29::net
