// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/runtime.hpp"

#include "core/log.hpp"

#include <asio/co_spawn.hpp>

#include <exception>

namespace flow29::net {
namespace {

asio::awaitable<void> begin_later(asio::awaitable<void> coroutine) {
    const auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
    co_await std::move(coroutine);
}

void end_program_on(std::exception_ptr thrown) {
    if (!thrown) return;
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& exception) {
        core::log::error("runtime", "an exception left a coroutine: {}", exception.what());
        std::terminate();
    }
}

}  // namespace

void Signal::add_waiter(TimePoint deadline, std::function<void(bool)> resume) {
    std::erase_if(waiters_, [](const auto& waiter) { return waiter.expired(); });
    auto waiter = std::make_shared<Waiter>();
    waiter->resume = std::move(resume);
    waiters_.push_back(waiter);
    Waiter& waits = *waiter;
    waits.timer =
        runtime_.add_timer(deadline, [waiter = std::move(waiter)] { waiter->resume(false); });
}

asio::awaitable<bool> Signal::wait_until(TimePoint deadline) {
    std::function<void(std::function<void(bool)>)> start =
        [this, deadline](std::function<void(bool)> resume) {
            add_waiter(deadline, std::move(resume));
        };
    const bool notified = co_await await_callback<bool>(std::move(start));
    co_return notified;
}

asio::awaitable<void> Signal::wait() {
    const bool notified = co_await wait_until(TimePoint::max());
    static_cast<void>(notified);
}

void Signal::notify_all() {
    const auto waiters = std::exchange(waiters_, {});
    for (const auto& weak : waiters) {
        const auto waiter = weak.lock();
        if (!waiter) continue;
        runtime_.cancel_timer(waiter->timer);
        waiter->resume(true);
    }
}

asio::awaitable<void> sleep_until(Runtime& runtime, TimePoint when) {
    std::function<void(std::function<void(bool)>)> start = [&runtime,
                                                            when](std::function<void(bool)> done) {
        runtime.add_timer(when, [done = std::move(done)] { done(true); });
    };
    co_await await_callback<bool>(std::move(start));
}

asio::awaitable<void> sleep_for(Runtime& runtime, Duration duration) {
    const TimePoint when = runtime.now() + duration;
    co_await sleep_until(runtime, when);
}

void spawn(Runtime& runtime, asio::awaitable<void> coroutine) {
    asio::co_spawn(runtime.executor(), begin_later(std::move(coroutine)), end_program_on);
}

}  // namespace flow29::net
