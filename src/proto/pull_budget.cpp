// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/pull_budget.hpp"

#include <algorithm>

#include "core/assert.hpp"

namespace flow29::proto {

using namespace std::chrono_literals;

namespace {
constexpr std::uint64_t repair_parts_per_second = 8;  // so small are its pieces and bursts
constexpr std::uint64_t pieces_per_second = 16;
constexpr std::uint64_t repair_share = 10;  // one part of so many, beside what somebody waits for
constexpr Duration stall_min_limited = 10s;
constexpr Duration takeover_saves_min_limited = 5s;

ByteCount stricter(ByteCount one, ByteCount other) {
    if (one.value == 0 || other.value == 0) return std::max(one, other);
    return std::min(one, other);
}

ByteCount piece_bytes(ByteCount rate, std::uint64_t parts) {
    return ByteCount(
        std::clamp(rate.value / parts, limits::checksum_block_bytes, limits::range_bytes_max));
}
}  // namespace

void PullBudget::set_limits(Limits limits, TimePoint now) {
    limits_ = limits;
    update(now);
}

void PullBudget::begin_foreground(TimePoint now) {
    ++foreground_;
    update(now);
}

void PullBudget::end_foreground(TimePoint now) {
    FLOW29_ASSERT(foreground_ > 0);
    --foreground_;
    update(now);
}

ByteCount PullBudget::repair_rate_max() const {
    return stricter(limits_.repair, limits_.down);
}

void PullBudget::update(TimePoint now) {
    auto rate = repair_rate_max();
    if (foreground_ > 0 && limits_.down.value != 0)
        rate = stricter(rate,
                        ByteCount(std::max<std::uint64_t>(limits_.down.value / repair_share, 1)));
    if (rate == repair_.rate()) return;
    repair_.set_rate(rate, ByteCount(rate.value / repair_parts_per_second), now);
}

DownloadPlanner::Options PullBudget::shape(DownloadPlanner::Options options, bool is_repair) const {
    if (is_repair && repair_.is_limited())
        options.piece_bytes_max =
            std::min(options.piece_bytes_max, piece_bytes(repair_.rate(), repair_parts_per_second));
    if (limits_.down.value != 0) {
        options.piece_bytes_max =
            std::min(options.piece_bytes_max, piece_bytes(limits_.down, pieces_per_second));
        options.stall_min = std::max(options.stall_min, stall_min_limited);
        options.takeover_saves_min =
            std::max(options.takeover_saves_min, takeover_saves_min_limited);
    }
    return options;
}

}  // namespace flow29::proto
