// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include <asio/io_context.hpp>

#include "core/hash.hpp"
#include "core/identity.hpp"
#include "core/time.hpp"
#include "net/runtime.hpp"
#include "proto/message.hpp"

namespace flow29::sim {

/// Virtual time for a whole swarm on one thread. Everything that takes time is an event; between
/// events whatever coroutines can run do run. The same seed gives the same run: every delivered
/// message enters a trace hash, which two runs can compare.
class World {
  public:
    explicit World(std::uint64_t seed);
    ~World();

    [[nodiscard]] TimePoint now() const { return now_; }
    [[nodiscard]] WallTime wall_now() const;
    [[nodiscard]] std::mt19937_64& random() { return random_; }
    [[nodiscard]] asio::io_context& context() { return context_; }

    using EventId = std::pair<TimePoint, std::uint64_t>;
    EventId at(TimePoint when, std::function<void()> event);
    void cancel(EventId id) { events_.erase(id); }

    /// Called whenever everything that happens at one moment has happened; for what must never be
    /// otherwise.
    void watch(std::function<void()> check) { check_ = std::move(check); }

    /// Runs until `until` or until `done` says so; true in the latter case.
    bool run_until(TimePoint until, const std::function<bool()>& done = {});
    bool run_for(Duration duration, const std::function<bool()>& done = {}) {
        return run_until(now_ + duration, done);
    }

    /// Adds a line to the trace.
    void trace(std::string_view what, ByteView from, ByteView to);
    [[nodiscard]] std::uint64_t traced() const { return traced_; }
    [[nodiscard]] std::string trace_hash();

  private:
    void settle();

    asio::io_context context_;
    TimePoint now_{};
    std::mt19937_64 random_;
    std::map<EventId, std::function<void()>> events_;
    std::uint64_t last_event_ = 0;
    std::function<void()> check_;
    core::Sha256 trace_;
    std::uint64_t traced_ = 0;
};

/// One node's view of the world's clock; work on workers happens at once.
class SimRuntime final : public net::Runtime {
  public:
    SimRuntime(World& world, std::uint64_t seed) : world_(world), random_(seed) {}

    [[nodiscard]] asio::any_io_executor executor() override {
        return world_.context().get_executor();
    }
    [[nodiscard]] TimePoint now() const override { return world_.now(); }
    [[nodiscard]] WallTime wall_now() const override { return world_.wall_now(); }
    [[nodiscard]] std::mt19937_64& random() override { return random_; }
    TimerId add_timer(TimePoint when, std::function<void()> fire) override;
    void cancel_timer(TimerId id) override;
    void run_on_worker(std::function<void()> job, std::function<void()> done) override;
    /// What every job takes from now on, as on a slow disk.
    void set_worker_time(Duration time) { worker_time_ = time; }

  private:
    World& world_;  // owned by the test
    std::mt19937_64 random_;
    Duration worker_time_{};
    TimerId last_timer_ = 0;
    std::map<TimerId, World::EventId> timers_;
};

/// A node key that depends on the seed alone.
[[nodiscard]] core::Identity make_identity(std::uint64_t seed);

}  // namespace flow29::sim
