// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <mutex>

#include "core/token_bucket.hpp"

namespace flow29::core {

/// The bytes a second that everything in one direction shares: connections and datagrams, each on
/// a thread of its own. May be used from any thread; sans-IO; O(1).
///
/// Rules:
/// 1. What may wait moves when the budget is `ready`, and is charged for as it moves, so over any
///    time T at most rate × T + an eighth of a second's worth + the largest single charge goes.
/// 2. What must not wait (datagrams, and the few octets that show that this node lives) goes at
///    once, on credit: at most half a second's worth, or `credit_bytes_min` if that is more.
///    Rationale: it is small; what may wait makes up for it within the same second.
class LineBudget {
  public:
    /// One lookup in the DHT comes to some 12 kB.
    static constexpr ByteCount credit_bytes_min{16 * 1024};

    /// A rate of 0 is no limit.
    void set_rate(ByteCount bytes_per_second, TimePoint now);
    [[nodiscard]] ByteCount rate() const;
    [[nodiscard]] bool is_limited() const { return rate().value != 0; }

    /// When something that may wait can move.
    [[nodiscard]] TimePoint ready_at() const;
    /// Moved, or promised to somebody who gives back what he does not use.
    void charge(ByteCount bytes, TimePoint now);
    /// Charges unless that exceeds the credit: then false, and it must not move now.
    [[nodiscard]] bool charge_at_once(ByteCount bytes, TimePoint now);
    void give_back(ByteCount bytes);

  private:
    mutable std::mutex mutex_;
    TokenBucket bucket_{ByteCount(0), ByteCount(0)};
};

/// Both directions of one node's line.
struct Line {
    LineBudget up;
    LineBudget down;
};

}  // namespace flow29::core
