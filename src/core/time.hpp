// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>

namespace flow29 {

/// The clock that decisions are made on: it never goes back and has no epoch that means anything.
/// It cannot be read here: time comes in as an argument, so that a simulator can supply it.
struct MonotonicClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<MonotonicClock>;
    static constexpr bool is_steady = true;
};

using Duration = MonotonicClock::duration;
using TimePoint = MonotonicClock::time_point;

/// Calendar time, for what is signed and crosses machines: expiry and sequence numbers.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

/// Milliseconds since 1970-01-01T00:00:00Z; the form in which wall time is signed.
[[nodiscard]] constexpr std::uint64_t to_unix_ms(WallTime time) {
    return static_cast<std::uint64_t>(time.time_since_epoch().count());
}
[[nodiscard]] constexpr WallTime from_unix_ms(std::uint64_t unix_ms) {
    return WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(unix_ms)));
}

}  // namespace flow29
