// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "node/tasks.hpp"

namespace flow29::node {

/// Runs coroutines side by side and collects what they return, in no particular order.
template <class T>
class Gather {
  public:
    Gather(net::Runtime& runtime, Tasks& tasks)
        : state_(std::make_shared<State>(runtime)), tasks_(tasks) {}

    void start(asio::awaitable<T> coroutine) {
        ++state_->running;
        tasks_.start(run(state_, std::move(coroutine)));
    }

    /// What was returned once all have ended, or when `patience` is over; the others go on by
    /// themselves, so what they refer to must outlive the engine's tasks.
    [[nodiscard]] asio::awaitable<std::vector<T>> within(Duration patience) {
        const auto state = state_;
        const auto now = state->runtime.now();
        const auto until = now + std::min(patience, TimePoint::max() - now);
        while (state->running > 0 && state->runtime.now() < until)
            co_await state->ended.wait_until(until);
        co_return std::exchange(state->results, {});
    }

    /// Everything returned once all have ended.
    [[nodiscard]] asio::awaitable<std::vector<T>> all() {
        const auto state = state_;
        while (state->running > 0)
            co_await state->ended.wait();
        co_return std::move(state->results);
    }

  private:
    struct State {
        explicit State(net::Runtime& net_runtime) : runtime(net_runtime), ended(net_runtime) {}
        net::Runtime& runtime;  // owned by the program
        net::Signal ended;
        std::vector<T> results;
        std::size_t running = 0;
    };

    [[nodiscard]] static asio::awaitable<void> run(std::shared_ptr<State> state,
                                                   asio::awaitable<T> coroutine) {
        auto result = co_await std::move(coroutine);
        state->results.push_back(std::move(result));
        --state->running;
        state->ended.notify_all();
    }

    std::shared_ptr<State> state_;
    Tasks& tasks_;  // owned by the engine
};

}  // namespace flow29::node
