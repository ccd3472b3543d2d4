// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <unordered_set>

#include "core/endpoint.hpp"
#include "core/time.hpp"

namespace flow29::dht {

/// Decides whom to ping so that a routing table fills within seconds instead of minutes.
///
/// OpenDHT lists a node for others only once that node has *answered*, and asks newcomers one by
/// one every 5 to 25 seconds: of eight nodes, each knew two after 13 seconds. So whoever sends us a
/// request, or turns up near us in a look-up, is pinged at once.
///
/// Rules:
/// 1. One ping to an address in `again_after`, and `greetings_per_second_max` in all.
///    Rationale: a source address can be forged; we must not be worth using against others.
/// 2. At most `greeted_max` addresses are remembered; when that is full, nobody is greeted until
///    they are forgotten. Rationale: a flood costs us table growth, not memory.
class Greetings {
  public:
    static constexpr Duration again_after = std::chrono::minutes(5);

    /// True: ping it now.
    [[nodiscard]] bool should_greet(const core::Endpoint& endpoint, TimePoint now);

  private:
    std::unordered_set<core::Endpoint> greeted_;
    TimePoint forget_at_{};
    TimePoint second_ends_{};
    unsigned this_second_ = 0;
};

}  // namespace flow29::dht
