// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/asio_runtime.hpp"

#include "core/clock.hpp"
#include "core/identity.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <thread>

namespace flow29::net {
namespace {

std::mt19937_64 seeded_generator() {
    std::array<std::uint8_t, 8 * sizeof(std::uint32_t)> octets{};
    core::random_bytes(octets);
    std::array<std::uint32_t, 8> words{};
    std::memcpy(words.data(), octets.data(), octets.size());
    std::seed_seq seed(words.begin(), words.end());
    return std::mt19937_64(seed);
}

std::size_t worker_count() {
    return std::max<std::size_t>(2, std::thread::hardware_concurrency());
}

}  // namespace

AsioRuntime::AsioRuntime()
    : random_(seeded_generator()),
      context_(std::make_unique<asio::io_context>(1)),
      work_(context_->get_executor()),
      timer_(*context_),
      workers_(std::in_place, worker_count()) {}

AsioRuntime::~AsioRuntime() {
    workers_.reset();
    // What is destroyed here and below may add or cancel timers while it goes.
    while (!timers_.empty()) {
        const auto dropped = std::exchange(timers_, {});
        deadlines_.clear();
    }
    timer_.reset();
    work_.reset();
    context_.reset();
}

void AsioRuntime::run() {
    context_->run();
}

void AsioRuntime::stop() {
    context_->stop();
}

asio::any_io_executor AsioRuntime::executor() {
    return context_->get_executor();
}

TimePoint AsioRuntime::now() const {
    return core::monotonic_now();
}

WallTime AsioRuntime::wall_now() const {
    return core::wall_now();
}

Runtime::TimerId AsioRuntime::add_timer(TimePoint when, std::function<void()> fire) {
    const TimerId id = ++last_timer_;
    timers_.emplace(std::pair(when, id), std::move(fire));
    deadlines_.emplace(id, when);
    if (when < armed_for_) arm();
    return id;
}

void AsioRuntime::cancel_timer(TimerId id) {
    const auto found = deadlines_.find(id);
    if (found == deadlines_.end()) return;
    // Destroyed at the end, when the tables are whole again: it may own more timers.
    const auto cancelled = timers_.extract(std::pair(found->second, id));
    deadlines_.erase(found);
}

void AsioRuntime::arm() {
    // Nothing is armed any more once the end has begun.
    if (!timer_ || timers_.empty()) return;
    armed_for_ = timers_.begin()->first.first;
    if (armed_for_ == TimePoint::max()) return;
    timer_->expires_at(std::chrono::steady_clock::time_point(armed_for_.time_since_epoch()));
    timer_->async_wait([this](const std::error_code& ec) {
        if (!ec) on_timer();
    });
}

void AsioRuntime::on_timer() {
    const TimePoint until = now();
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
        const auto due = timers_.extract(timers_.begin());
        deadlines_.erase(due.key().second);
        due.mapped()();
    }
    armed_for_ = TimePoint::max();
    arm();
}

void AsioRuntime::run_on_worker(std::function<void()> job, std::function<void()> done) {
    auto executor = context_->get_executor();
    workers_->post([job = std::move(job), done = std::move(done), executor]() mutable {
        job();
        asio::post(executor, std::move(done));
    });
}

}  // namespace flow29::net
