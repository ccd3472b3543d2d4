// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/reach_verdict.hpp"

#include <algorithm>

namespace flow29::proto {

void ReachVerdict::on_round(const Round& round, TimePoint now) {
    if (round.reached > 0) {
        on_dialled(now);
    } else if (round.answers == 0) {
        next_round_ = now + pause_alone;
    } else {
        refusals_ = std::min(refusals_ + 1, refusals_needed);
        const bool sure = refusals_ == refusals_needed;
        if (sure) reachable_ = false;
        next_round_ = now + (sure ? pause_unreachable : pause_refused);
    }
}

void ReachVerdict::on_dialled(TimePoint now) {
    refusals_ = 0;
    reachable_ = true;
    next_round_ = now + pause_reachable;
}

void ReachVerdict::on_judge(TimePoint now) {
    if (!reachable_ && refusals_ == 0) next_round_ = now;
}

void ReachVerdict::on_news(TimePoint now) {
    refusals_ = 0;
    next_round_ = now;
}

bool ReachVerdict::counts(TimePoint now) const {
    if (reachable_) return *reachable_;
    return was_reachable_ || (refusals_ == 0 && now >= began_ + patience);
}

}  // namespace flow29::proto
