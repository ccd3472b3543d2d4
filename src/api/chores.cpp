// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/chores.hpp"

#include <utility>

namespace flow29::api {

void Chores::Desk::hand_in(Chore chore) const {
    {
        const std::lock_guard lock(waiting_->mutex);
        if (waiting_->closed) return;
        waiting_->chores.push_back(std::move(chore));
    }
    waiting_->wake.notify_one();
}

Chores::Chores(const Desk& desk, Round round)
    : thread_([waiting = desk.waiting_, round = std::move(round)](const std::stop_token& stop) {
          run(*waiting, round, stop);
      }) {}

void Chores::run(Desk::Waiting& waiting, const Round& round, const std::stop_token& stop) {
    for (bool last = false; !last;) {
        const auto pause = round.pause();
        std::unique_lock lock(waiting.mutex);
        waiting.wake.wait_for(lock, stop, pause, [&] { return !waiting.chores.empty(); });
        last = stop.stop_requested();
        waiting.closed = last;
        const auto chores = std::exchange(waiting.chores, {});
        lock.unlock();
        for (const auto& chore : chores)
            chore();
        if (!last) round.work(stop);
    }
}

}  // namespace flow29::api
