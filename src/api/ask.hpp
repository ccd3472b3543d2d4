// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include <flow29/node.hpp>

namespace flow29::api {

/// Longer than any wait of the router's own.
inline constexpr auto answer_timeout = std::chrono::seconds(90);

/// Something that another thread says once.
template <class T>
class Answer {
  public:
    void give(T value) {
        {
            const std::lock_guard lock(mutex_);
            value_ = std::move(value);
        }
        given_.notify_all();
    }
    /// Nothing when `stop` or the time-out came first.
    [[nodiscard]] std::optional<T> wait(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        given_.wait_for(lock, stop, answer_timeout, [this] { return value_.has_value(); });
        return std::move(value_);
    }

  private:
    std::mutex mutex_;
    std::condition_variable_any given_;
    std::optional<T> value_;
};

/// A node's answer to one of its questions, waited for. Errors: timed_out, also after `stop`.
template <class T>
[[nodiscard]] Result<T> ask(Node& node, void (Node::*question)(DoneFn<T>),
                            const std::stop_token& stop) {
    const auto answer = std::make_shared<Answer<Result<T>>>();
    (node.*question)([answer](Result<T> result) { answer->give(std::move(result)); });
    auto got = answer->wait(stop);
    if (!got) return fail(Errc::timed_out, "the node does not answer");
    return std::move(*got);
}

}  // namespace flow29::api
