// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "net/runtime.hpp"

namespace flow29::node {

/// The coroutines of one node: they all end before the node does. On the executor's thread only.
class Tasks {
  public:
    explicit Tasks(net::Runtime& runtime) : runtime_(runtime), stop_(runtime), idle_(runtime) {}

    /// Runs a coroutine that nobody waits for.
    void start(asio::awaitable<void> coroutine);
    /// Sleeps; false when the node is stopping.
    [[nodiscard]] asio::awaitable<bool> sleep_for(Duration duration);
    [[nodiscard]] bool stopping() const { return stopping_; }

    /// Ends every sleep, now and later.
    void request_stop();
    /// Waits until every coroutine has ended. Requires request_stop before, and that whatever else
    /// they wait for (connections, index) has been stopped too.
    [[nodiscard]] asio::awaitable<void> drain();

  private:
    [[nodiscard]] asio::awaitable<void> run(asio::awaitable<void> coroutine);

    net::Runtime& runtime_;  // owned by the node
    net::Signal stop_;
    net::Signal idle_;
    std::size_t running_ = 0;
    bool stopping_ = false;
};

}  // namespace flow29::node
