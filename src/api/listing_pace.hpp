// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <chrono>

namespace flow29::api {

/// When the objects are listed again for a page that is open. Sans-IO.
///
/// Rules:
/// 1. The next listing begins a second after the last one ended, at the earliest, and takes a
///    tenth of the time at most. Rationale: of ten thousand objects it costs a node a third of a
///    second.
/// 2. While nothing happens that shows in the list, it takes a two-hundredth of the time, and yet
///    is made once a minute. Rationale: a page that is open and looked at by nobody costs next to
///    nothing; and that time passes (a lease ends), or that copies are made elsewhere, nobody says.
class ListingPace {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr int share_busy = 10;
    static constexpr int share_idle = 200;
    static constexpr Clock::duration pause_min = std::chrono::seconds(1);
    static constexpr Clock::duration pause_idle_max = std::chrono::minutes(1);

    /// Something happened that may show in the list.
    void on_news() { is_news_ = true; }
    /// A listing has all that has happened until now.
    void on_begun() { is_news_ = false; }
    void on_ended(Clock::time_point now, Clock::duration cost) {
        ended_ = now;
        cost_ = cost;
    }

    /// Requires that none is under way.
    [[nodiscard]] bool is_due(Clock::time_point now) const {
        const auto idle = std::min(share_idle * cost_, pause_idle_max);
        const auto busy = share_busy * cost_;
        return now >= ended_ + std::max(pause_min, is_news_ ? busy : std::max(busy, idle));
    }

  private:
    Clock::time_point ended_{};
    Clock::duration cost_{};
    bool is_news_ = true;
};

}  // namespace flow29::api
