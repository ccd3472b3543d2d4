// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/time.hpp"

#include <asio/any_io_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/post.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

namespace flow29::net {

/// Time, randomness and worker threads as the node layer sees them. The real one stands on Asio and
/// a thread pool; the simulator's moves a virtual clock and runs work at once.
///
/// Everything but `run_on_worker`'s job is called on the executor's one thread.
class Runtime {
  public:
    using TimerId = std::uint64_t;

    virtual ~Runtime() = default;

    [[nodiscard]] virtual asio::any_io_executor executor() = 0;
    [[nodiscard]] virtual TimePoint now() const = 0;
    [[nodiscard]] virtual WallTime wall_now() const = 0;
    [[nodiscard]] virtual std::mt19937_64& random() = 0;

    /// Calls `fire` at `when` on the executor, once, unless cancelled before. At TimePoint::max()
    /// it is never called, only kept: the runtime's end destroys what it keeps, so waits that hang
    /// on it do not leak.
    virtual TimerId add_timer(TimePoint when, std::function<void()> fire) = 0;
    virtual void cancel_timer(TimerId id) = 0;

    /// Runs `job` on a worker, then `done` on the executor.
    virtual void run_on_worker(std::function<void()> job, std::function<void()> done) = 0;
};

/// Lets coroutines wait for an event or a deadline. Lives on the executor's thread. Destroying it
/// releases nobody: whoever waits must be told first, by `notify_all`.
class Signal {
  public:
    explicit Signal(Runtime& runtime) : runtime_(runtime) {}
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;

    /// True when notified, false at the deadline. The world may have moved: re-check.
    [[nodiscard]] asio::awaitable<bool> wait_until(TimePoint deadline);
    [[nodiscard]] asio::awaitable<void> wait();
    /// Those who wait now go on, on a later turn of the executor.
    void notify_all();

  private:
    struct Waiter {
        std::function<void(bool)> resume;
        Runtime::TimerId timer = 0;
    };

    void add_waiter(TimePoint deadline, std::function<void(bool)> resume);

    Runtime& runtime_;  // owned by the node
    // A waiter is owned by its timer. Were it owned here, a coroutine that owns the signal it waits
    // for would own itself, and leak when the runtime ends.
    std::vector<std::weak_ptr<Waiter>> waiters_;
};

/// Suspends the calling coroutine.
[[nodiscard]] asio::awaitable<void> sleep_until(Runtime& runtime, TimePoint when);
[[nodiscard]] asio::awaitable<void> sleep_for(Runtime& runtime, Duration duration);

/// Adapts a function that takes a callback: `start` is given a completion that may be called from
/// any thread, once; the coroutine goes on, on its own executor, with what it was given.
template <class T>
[[nodiscard]] asio::awaitable<T> await_callback(std::function<void(std::function<void(T)>)> start) {
    auto executor = co_await asio::this_coro::executor;
    auto initiate = [start = std::move(start), executor](auto handler) mutable {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        start([shared, executor](T value) mutable {
            auto boxed = std::make_shared<T>(std::move(value));
            asio::post(executor, [shared, boxed] { std::move (*shared)(std::move(*boxed)); });
        });
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(T)>(
        std::move(initiate), asio::use_awaitable);
}

/// Runs `job` on a worker and gives its result back on the executor.
template <class Job>
[[nodiscard]] asio::awaitable<std::invoke_result_t<Job&>> offload(Runtime& runtime, Job job) {
    using Value = std::invoke_result_t<Job&>;
    struct Shared {
        explicit Shared(Job j) : job(std::move(j)) {}
        Job job;
        std::optional<Value> value;
    };
    auto shared = std::make_shared<Shared>(std::move(job));
    std::function<void(std::function<void(bool)>)> start =
        [&runtime, shared](std::function<void(bool)> done) {
            runtime.run_on_worker([shared] { shared->value.emplace(shared->job()); },
                                  [done = std::move(done)] { done(true); });
        };
    co_await await_callback<bool>(std::move(start));
    co_return std::move(*shared->value);
}

/// Starts a coroutine that nobody waits for, on a later turn of the executor. An exception that
/// leaves it ends the program: expected failures are values here.
void spawn(Runtime& runtime, asio::awaitable<void> coroutine);

}  // namespace flow29::net
