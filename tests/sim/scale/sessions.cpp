// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/scale/sessions.hpp"

#include <algorithm>
#include <cmath>

#include "core/assert.hpp"

namespace flow29::sim::scale {
namespace {

constexpr Duration shortest = std::chrono::seconds(1);
constexpr Duration day = std::chrono::hours(24);
// How many cycles pass before time 0, so that nothing is left of how a slot began.
constexpr unsigned cycles_before = 100;

Duration scaled(Duration duration, double factor) {
    return Duration(std::llround(static_cast<double>(duration.count()) * factor));
}

}  // namespace

WeibullSessions::WeibullSessions(std::size_t slots, Options options) : options_(options) {
    FLOW29_ASSERT(options_.shape > 0);
    FLOW29_ASSERT(options_.availability > 0 && options_.availability < 1);
    session_scale_ = scaled(options_.median, std::pow(std::log(2.0), -1 / options_.shape));
    absence_scale_ = scaled(session_scale_, (1 - options_.availability) / options_.availability);
    Random seeds(options_.seed);
    for (std::size_t slot = 0; slot < slots; ++slot)
        random_.emplace_back(seeds());
}

Sessions::Start WeibullSessions::start(std::size_t slot) {
    const Duration before = cycles_before * (mean_session() + mean_absence());
    Duration passed{};
    bool up = false;
    for (;;) {
        const Duration lasts = next(slot, up);
        if (passed + lasts > before)
            return {.up = up, .since = before - passed, .left = passed + lasts - before};
        passed += lasts;
        up = !up;
    }
}

Duration WeibullSessions::next(std::size_t slot, bool up) {
    const double factor = std::pow(random_[slot].exponential(), 1 / options_.shape);
    return std::max(shortest, scaled(up ? session_scale_ : absence_scale_, factor));
}

Duration WeibullSessions::mean_session() const {
    return scaled(session_scale_, std::tgamma(1 + 1 / options_.shape));
}

Duration WeibullSessions::mean_absence() const {
    return scaled(absence_scale_, std::tgamma(1 + 1 / options_.shape));
}

TraceSessions::TraceSessions(std::size_t slots, AvtTrace trace)
    : trace_(std::move(trace)), cursors_(slots) {
    FLOW29_ASSERT(!trace_.nodes.empty());
    // Longer than the trace, so that an absence stands between its end and its beginning, and a
    // whole number of days.
    period_ = (trace_.length / day + 1) * day;
}

Sessions::Start TraceSessions::start(std::size_t slot) {
    Cursor& cursor = cursors_[slot];
    const auto repetition = static_cast<Duration::rep>(slot / trace_.nodes.size());
    cursor.now = repetition * day % period_;
    while (cursor.round + intervals(slot)[cursor.interval].end <= cursor.now)
        advance(slot);
    const auto& interval = intervals(slot)[cursor.interval];
    const Duration begins = cursor.round + interval.start;
    if (begins > cursor.now) return {.up = false, .since = {}, .left = begins - cursor.now};
    return {
        .up = true, .since = cursor.now - begins, .left = cursor.round + interval.end - cursor.now};
}

Duration TraceSessions::next(std::size_t slot, bool up) {
    Cursor& cursor = cursors_[slot];
    const auto& interval = intervals(slot)[cursor.interval];
    if (up) {
        cursor.now = cursor.round + interval.start;
        return interval.end - interval.start;
    }
    cursor.now = cursor.round + interval.end;
    advance(slot);
    return cursor.round + intervals(slot)[cursor.interval].start - cursor.now;
}

const std::vector<AvtTrace::Interval>& TraceSessions::intervals(std::size_t slot) const {
    return trace_.nodes[slot % trace_.nodes.size()];
}

void TraceSessions::advance(std::size_t slot) {
    Cursor& cursor = cursors_[slot];
    if (++cursor.interval < intervals(slot).size()) return;
    cursor.interval = 0;
    cursor.round += period_;
}

}  // namespace flow29::sim::scale
