// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/ids.hpp>
#include "core/time.hpp"
#include "core/token_bucket.hpp"
#include "proto/download_planner.hpp"

namespace flow29::proto {

/// What pulls may ask of others, by whether somebody waits for them.
///
/// Rules:
/// 1. Repair is asked for at its own limit, and under a limit on the downlink at no more than that.
///    While pulls that somebody waits for are under way, it is a tenth of the downlink at most.
///    Rationale: the transport holds the downlink's limit, but cannot tell whose the bytes are that
///    arrive. What is asked for slowly comes slowly, and leaves the rest.
/// 2. Under a limit on the downlink pieces are a sixteenth of a second of it, so that what is in
///    flight comes soon; and a peer whose answers wait here is not taken for a stalled one, nor is
///    asked beside it for the same bytes, which would come twice over a line that is full.
///
/// Sans-IO; O(1).
class PullBudget {
  public:
    /// In bytes per second; 0: none.
    struct Limits {
        ByteCount down;
        ByteCount repair;
    };

    void set_limits(Limits limits, TimePoint now);
    [[nodiscard]] const Limits& limits() const { return limits_; }

    /// A pull that somebody waits for begins or ends.
    void begin_foreground(TimePoint now);
    void end_foreground(TimePoint now);

    /// What every request of a repair takes its bytes from.
    [[nodiscard]] core::TokenBucket& repair() { return repair_; }
    /// The rate of repair while nobody waits for anything; 0: no limit.
    [[nodiscard]] ByteCount repair_rate_max() const;
    /// How a pull is to be planned under the limits that are in force.
    [[nodiscard]] DownloadPlanner::Options shape(DownloadPlanner::Options options,
                                                 bool is_repair) const;

  private:
    void update(TimePoint now);

    Limits limits_;
    core::TokenBucket repair_{ByteCount(0), ByteCount(0)};
    unsigned foreground_ = 0;
};

}  // namespace flow29::proto
