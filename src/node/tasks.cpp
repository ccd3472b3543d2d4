// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/tasks.hpp"

namespace flow29::node {

void Tasks::start(asio::awaitable<void> coroutine) {
    ++running_;
    net::spawn(runtime_, run(std::move(coroutine)));
}

asio::awaitable<void> Tasks::run(asio::awaitable<void> coroutine) {
    co_await std::move(coroutine);
    if (--running_ == 0) idle_.notify_all();
}

asio::awaitable<bool> Tasks::sleep_for(Duration duration) {
    if (stopping_) co_return false;
    const bool stopped = co_await stop_.wait_until(runtime_.now() + duration);
    co_return !stopped && !stopping_;
}

void Tasks::request_stop() {
    stopping_ = true;
    stop_.notify_all();
}

asio::awaitable<void> Tasks::drain() {
    while (running_ > 0)
        co_await idle_.wait();
}

}  // namespace flow29::node
