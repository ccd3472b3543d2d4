// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <deque>

#include <flow29/ids.hpp>

#include "core/time.hpp"

namespace flow29::node {

/// How fast a sum of bytes grows: over the last few seconds.
class RateWindow {
  public:
    /// The sum so far. Times and sums never go back, until `clear`.
    void note(TimePoint now, ByteCount sum) {
        samples_.push_back({now, sum});
        while (samples_.size() > samples_max ||
               (samples_.size() > 2 && now - samples_[1].at >= window))
            samples_.pop_front();
    }
    void clear() { samples_.clear(); }

    /// Bytes per second until now, and not until the last sum: what stands still has no rate. 0 for
    /// the first moments, in which a burst would look like the rate of hours.
    [[nodiscard]] double rate(TimePoint now) const {
        if (samples_.empty()) return 0;
        const std::chrono::duration<double> elapsed = now - samples_.front().at;
        const auto bytes = samples_.back().sum - samples_.front().sum;
        return elapsed >= span_min ? static_cast<double>(bytes.value) / elapsed.count() : 0;
    }

  private:
    static constexpr Duration window = std::chrono::seconds(4);
    static constexpr Duration span_min = std::chrono::milliseconds(300);
    static constexpr std::size_t samples_max = 64;

    struct Sample {
        TimePoint at;
        ByteCount sum;
    };
    std::deque<Sample> samples_;
};

}  // namespace flow29::node
