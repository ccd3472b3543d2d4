// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>

#include <flow29/limits.hpp>
#include "core/endpoint.hpp"
#include "core/time.hpp"

namespace flow29::proto {

/// Whether a connection that somebody made is taken up. Sans-IO.
///
/// Rules:
/// 1. Of one address group limits::arrivals_at_once_max, which come back at
///    limits::arrivals_per_second_max.
///    Rationale: each costs a handshake, and who is turned away after it may come again at once.
/// 2. At most limits::arrival_groups_max groups are remembered; when that is full, those that have
///    all of theirs again are forgotten, then all.
class ArrivalRules {
  public:
    /// Whether to take it up; then it counts. O(log groups).
    [[nodiscard]] bool may_come(const core::AddressGroup& group, TimePoint now);

    [[nodiscard]] std::size_t remembered() const { return all_again_at_.size(); }

  private:
    std::map<core::AddressGroup, TimePoint> all_again_at_;
};

}  // namespace flow29::proto
