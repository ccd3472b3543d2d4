// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/asio_runtime.hpp"

#include <doctest/doctest.h>
#include <asio/post.hpp>

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace flow29::net {
namespace {

using namespace std::chrono_literals;

asio::awaitable<void> offload_twice(AsioRuntime& runtime, std::vector<std::string>& seen) {
    auto input = std::make_unique<std::string>("a text too long to fit inside the string itself");
    const auto here = std::this_thread::get_id();
    auto job = [input = std::move(input), here]() {
        CHECK(std::this_thread::get_id() != here);
        return std::make_unique<std::string>(*input);
    };
    auto text = co_await offload(runtime, std::move(job));
    CHECK(std::this_thread::get_id() == here);
    seen.push_back(*text);
    auto again = [] {
        return std::string("another text too long to fit inside the string itself");
    };
    seen.push_back(co_await offload(runtime, again));
    runtime.stop();
}

TEST_CASE("offload takes a move-only job and gives a move-only result back") {
    AsioRuntime runtime;
    std::vector<std::string> seen;
    spawn(runtime, offload_twice(runtime, seen));
    CHECK(seen.empty());
    runtime.run();
    REQUIRE(seen.size() == 2);
    CHECK(seen[0] == "a text too long to fit inside the string itself");
    CHECK(seen[1] == "another text too long to fit inside the string itself");
}

asio::awaitable<void> await_from_thread(AsioRuntime& runtime, std::thread& thread, int& sum) {
    std::function<void(std::function<void(std::unique_ptr<int>)>)> start =
        [&thread](std::function<void(std::unique_ptr<int>)> done) {
            thread = std::thread([done = std::move(done)] { done(std::make_unique<int>(7)); });
        };
    auto value = co_await await_callback<std::unique_ptr<int>>(std::move(start));
    sum += *value;
    runtime.stop();
}

TEST_CASE("a callback from another thread resumes the coroutine with a move-only value") {
    AsioRuntime runtime;
    std::thread thread;
    int sum = 0;
    spawn(runtime, await_from_thread(runtime, thread, sum));
    runtime.run();
    thread.join();
    CHECK(sum == 7);
}

asio::awaitable<void> count_notifications(Signal& signal, int& notified, int& expired,
                                          TimePoint deadline) {
    const bool told = co_await signal.wait_until(deadline);
    (told ? notified : expired)++;
}

asio::awaitable<void> notify_then_stop(AsioRuntime& runtime, Signal& signal, int& expired) {
    signal.notify_all();
    while (expired < 1)
        co_await sleep_for(runtime, 1ms);
    runtime.stop();
}

TEST_CASE("a signal tells those that wait, and a deadline those that it passed") {
    AsioRuntime runtime;
    Signal signal(runtime);
    int notified = 0;
    int expired = 0;
    spawn(runtime, count_notifications(signal, notified, expired, TimePoint::max()));
    spawn(runtime, count_notifications(signal, notified, expired, runtime.now() + 1h));
    spawn(runtime, notify_then_stop(runtime, signal, expired));
    // Begins to wait after the notification, for a deadline that has passed.
    spawn(runtime, count_notifications(signal, notified, expired, runtime.now()));
    runtime.run();
    CHECK(notified == 2);
    CHECK(expired == 1);
}

/// Counts those that have not been destroyed.
struct Tracked {
    explicit Tracked(int& count) : alive(&count) { ++*alive; }
    Tracked(const Tracked&) = delete;
    ~Tracked() { --*alive; }
    int* alive;
};

asio::awaitable<void> wait_for_own_signal(AsioRuntime& runtime, int& alive) {
    const Tracked tracked(alive);
    Signal signal(runtime);
    co_await signal.wait();
}

asio::awaitable<void> sleep_long(AsioRuntime& runtime, int& alive) {
    const Tracked tracked(alive);
    co_await sleep_for(runtime, 1h);
}

asio::awaitable<void> work_long(AsioRuntime& runtime, int& alive) {
    const Tracked tracked(alive);
    for (;;) {
        auto job = [] { return std::make_unique<int>(1); };
        const auto done = co_await offload(runtime, job);
        static_cast<void>(done);
    }
}

asio::awaitable<void> stop_when_alive(AsioRuntime& runtime, const int& alive, int expected) {
    while (alive < expected)
        co_await sleep_for(runtime, 1ms);
    runtime.stop();
}

TEST_CASE("the end of the runtime destroys every coroutine that waits") {
    int alive = 0;
    {
        AsioRuntime runtime;
        for (int i = 0; i < 10; ++i) {
            spawn(runtime, wait_for_own_signal(runtime, alive));
            spawn(runtime, sleep_long(runtime, alive));
            spawn(runtime, work_long(runtime, alive));
        }
        spawn(runtime, stop_when_alive(runtime, alive, 30));
        runtime.run();
        CHECK(alive == 30);
    }
    CHECK(alive == 0);
}

TEST_CASE("timers fire in the order of their times and not once cancelled") {
    AsioRuntime runtime;
    std::vector<int> fired;
    const TimePoint start = runtime.now();
    runtime.add_timer(start + 3ms, [&] { fired.push_back(3); });
    const auto cancelled = runtime.add_timer(start + 2ms, [&] { fired.push_back(2); });
    runtime.add_timer(start + 1ms, [&] {
        fired.push_back(1);
        runtime.cancel_timer(cancelled);
    });
    runtime.add_timer(TimePoint::max(), [&] { fired.push_back(9); });
    runtime.add_timer(start + 4ms, [&] { runtime.stop(); });
    runtime.run();
    CHECK(fired == std::vector<int>{1, 3});
}

}  // namespace
}  // namespace flow29::net
