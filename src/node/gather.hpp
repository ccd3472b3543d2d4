// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
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

    /// Everything returned once all have ended.
    [[nodiscard]] asio::awaitable<std::vector<T>> all() {
        const auto state = state_;
        while (state->running > 0)
            co_await state->ended.wait();
        co_return std::move(state->results);
    }

  private:
    struct State {
        explicit State(net::Runtime& runtime) : ended(runtime) {}
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
