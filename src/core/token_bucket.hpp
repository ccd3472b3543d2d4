// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/ids.hpp>
#include "core/time.hpp"

namespace flow29::core {

/// Bytes under a rate. What is not used is saved up, but only `burst` of it; what is taken at once
/// is paid for afterwards, so over any time T at most rate × T + burst + the largest single taking
/// goes through. Sans-IO; O(1).
class TokenBucket {
  public:
    /// A rate of 0 is no limit.
    TokenBucket(ByteCount bytes_per_second, ByteCount burst)
        : rate_(bytes_per_second), burst_(burst) {}

    /// When these bytes may go: now, or once those taken before are paid for.
    TimePoint take(ByteCount bytes, TimePoint now);
    /// Undoes that part of an earlier taking which was not used after all.
    void give_back(ByteCount bytes);
    /// What was taken and is not paid for yet.
    [[nodiscard]] ByteCount owed(TimePoint now) const;
    /// When the next bytes may go.
    [[nodiscard]] TimePoint ready_at() const { return paid_at_; }
    /// What was taken stays taken, and is paid for at the new rate.
    void set_rate(ByteCount bytes_per_second, ByteCount burst, TimePoint now);

    [[nodiscard]] ByteCount rate() const { return rate_; }
    [[nodiscard]] bool is_limited() const { return rate_.value != 0; }

  private:
    [[nodiscard]] Duration time_for(ByteCount bytes) const;

    ByteCount rate_;
    ByteCount burst_;
    TimePoint paid_at_ = TimePoint::min();  // in the past: something is saved up
};

}  // namespace flow29::core
