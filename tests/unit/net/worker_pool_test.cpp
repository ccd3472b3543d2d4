// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/worker_pool.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <thread>

#include <flow29/limits.hpp>

namespace flow29::net {
namespace {

/// Closed until somebody opens it.
class Gate {
  public:
    void open() {
        const std::lock_guard lock(mutex_);
        is_open_ = true;
        opened_.notify_all();
    }
    void pass() {
        std::unique_lock lock(mutex_);
        opened_.wait(lock, [this] { return is_open_; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable opened_;
    bool is_open_ = false;
};

/// Posts a job that waits for the gate as for somebody else, and returns when it does.
void occupy(WorkerPool& pool, Gate& gate) {
    std::latch began(1);
    pool.post([&began, &gate] {
        const core::Waiting waiting;
        began.count_down();
        gate.pass();
    });
    began.wait();
}

void run_one(WorkerPool& pool) {
    std::latch done(1);
    pool.post([&done] { done.count_down(); });
    done.wait();
}

}  // namespace

TEST_CASE("whatever its workers wait for, a pool goes on") {
    Gate gate;
    WorkerPool pool(2);
    for (unsigned i = 0; i < 20; ++i) {
        occupy(pool, gate);
        run_one(pool);
    }
    gate.open();
    run_one(pool);
}

TEST_CASE("for so many that wait there is another one, and no more") {
    Gate gate;
    std::atomic<bool> has_run = false;
    WorkerPool pool(1);
    for (std::size_t i = 0; i < limits::workers_extra_max; ++i)
        occupy(pool, gate);
    run_one(pool);
    occupy(pool, gate);  // the last worker that is free
    pool.post([&has_run] { has_run = true; });
    CHECK_FALSE(has_run);
    gate.open();
    run_one(pool);
    run_one(pool);
}

TEST_CASE("who stood in for others goes when they are back") {
    WorkerPool pool(2);
    CHECK(pool.threads() == 2);
    for (unsigned round = 0; round < 3; ++round) {
        Gate gate;
        for (unsigned i = 0; i < 10; ++i)
            occupy(pool, gate);
        CHECK(pool.threads() == 12);
        gate.open();
        for (unsigned i = 0; i < 10'000 && pool.threads() > 2; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        CHECK(pool.threads() == 2);
        run_one(pool);
    }
}

TEST_CASE("a pool that ends waits for what has begun and drops the rest") {
    std::atomic<unsigned> ended = 0;
    Gate gate;
    std::latch began(1);
    std::thread opener;
    {
        WorkerPool pool(1);
        pool.post([&] {
            const core::Waiting waiting;
            began.count_down();
            gate.pass();
            ++ended;
        });
        began.wait();
        opener = std::thread([&gate] { gate.open(); });
    }
    CHECK(ended == 1);
    opener.join();
}

TEST_CASE("who works for nobody may wait as well") {
    const core::Waiting waiting;
    CHECK(core::employer == nullptr);
}

}  // namespace flow29::net
