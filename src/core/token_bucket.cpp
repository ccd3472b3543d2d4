// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/token_bucket.hpp"

#include <algorithm>

namespace flow29::core {

Duration TokenBucket::time_for(ByteCount bytes) const {
    const std::chrono::duration<double> seconds(static_cast<double>(bytes.value) /
                                                static_cast<double>(rate_.value));
    return std::chrono::duration_cast<Duration>(seconds);
}

TimePoint TokenBucket::take(ByteCount bytes, TimePoint now) {
    if (!is_limited()) return now;
    paid_at_ = std::max(paid_at_, now - time_for(burst_));
    const TimePoint when = std::max(paid_at_, now);
    paid_at_ += time_for(bytes);
    return when;
}

void TokenBucket::give_back(ByteCount bytes) {
    if (is_limited()) paid_at_ -= time_for(bytes);
}

ByteCount TokenBucket::owed(TimePoint now) const {
    if (!is_limited() || paid_at_ <= now) return ByteCount(0);
    const double bytes =
        std::chrono::duration<double>(paid_at_ - now).count() * static_cast<double>(rate_.value);
    return ByteCount(static_cast<std::uint64_t>(bytes));
}

void TokenBucket::set_rate(ByteCount bytes_per_second, ByteCount burst, TimePoint now) {
    const ByteCount due = owed(now);
    rate_ = bytes_per_second;
    burst_ = burst;
    paid_at_ = is_limited() ? now + time_for(due) : TimePoint::min();
}

}  // namespace flow29::core
