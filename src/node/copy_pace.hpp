// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include <flow29/ids.hpp>

#include "core/time.hpp"

namespace flow29::node {

/// How long it takes until all copies of something are made, by how fast they were made lately.
///
/// Rules
/// 1. What is there within `settling` is no measure, but where it begins. Rationale: those who are
///    asked say first what they had before.
/// 2. The measure reaches back for `window`, and at least over `steps_min` steps. Rationale: over a
///    slow line minutes go by between one large extent and the next, and then several holders have
///    it at once.
/// 3. Nothing is known before the first step, and when copies were lost not before the next one.
class CopyPace {
  public:
    static constexpr Duration settling = std::chrono::seconds(3);
    static constexpr Duration window = std::chrono::seconds(60);
    static constexpr std::size_t steps_min = 8;

    /// Times never go back, until `clear`. Amortised O(1).
    void note(TimePoint now, ByteCount made, ByteCount wanted) {
        if (!began_) began_ = now;
        wanted_ = wanted;
        if (steps_.empty() || now <= *began_ + settling || made < steps_.back().made) {
            steps_.assign(1, {now, made});
            return;
        }
        if (made == steps_.back().made) return;
        // Steps close to each other are one, so that there are never many.
        if (steps_.size() > 1 && now < steps_[steps_.size() - 2].at + apart) steps_.pop_back();
        steps_.push_back({now, made});
        while (steps_.size() > steps_min + 1 && now >= steps_[1].at + window)
            steps_.pop_front();
    }
    void clear() {
        began_.reset();
        steps_.clear();
    }

    [[nodiscard]] std::optional<std::chrono::milliseconds> left(TimePoint now) const {
        if (steps_.size() < 2 || wanted_ <= steps_.back().made) return std::nullopt;
        const std::chrono::duration<double> elapsed = now - steps_.front().at;
        const auto made = steps_.back().made - steps_.front().made;
        const auto missing = wanted_ - steps_.back().made;
        const auto left =
            elapsed * (static_cast<double>(missing.value) / static_cast<double>(made.value));
        if (left > left_max) return std::nullopt;
        return std::chrono::duration_cast<std::chrono::milliseconds>(left);
    }

  private:
    static constexpr Duration apart = std::chrono::seconds(1);
    static constexpr std::chrono::duration<double> left_max = std::chrono::hours(24 * 365);

    struct Step {
        TimePoint at;
        ByteCount made;
    };
    std::optional<TimePoint> began_;
    std::deque<Step> steps_;
    ByteCount wanted_;
};

}  // namespace flow29::node
