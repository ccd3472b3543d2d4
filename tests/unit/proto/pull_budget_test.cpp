// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/pull_budget.hpp"

#include <doctest/doctest.h>

using namespace flow29;
using namespace flow29::proto;
using namespace std::chrono_literals;

namespace {
constexpr TimePoint start{std::chrono::hours(1)};
constexpr std::uint64_t mib = 1 << 20;

ByteCount repair_rate(PullBudget& budget) {
    return budget.repair().rate();
}
}  // namespace

TEST_CASE("without a limit on the downlink repair has its own, whoever fetches") {
    PullBudget budget;
    budget.set_limits({.down = ByteCount(0), .repair = ByteCount(16 * mib)}, start);
    CHECK(repair_rate(budget) == ByteCount(16 * mib));
    budget.begin_foreground(start);
    CHECK(repair_rate(budget) == ByteCount(16 * mib));
    budget.set_limits({.down = ByteCount(0), .repair = ByteCount(0)}, start);
    CHECK_FALSE(budget.repair().is_limited());
}

TEST_CASE("repair is a tenth of a limited downlink while somebody waits for something") {
    PullBudget budget;
    budget.set_limits({.down = ByteCount(10 * mib), .repair = ByteCount(0)}, start);
    CHECK(repair_rate(budget) == ByteCount(10 * mib));
    budget.begin_foreground(start);
    budget.begin_foreground(start);
    CHECK(repair_rate(budget) == ByteCount(mib));
    CHECK(budget.repair_rate_max() == ByteCount(10 * mib));
    budget.end_foreground(start);
    CHECK(repair_rate(budget) == ByteCount(mib));
    budget.end_foreground(start);
    CHECK(repair_rate(budget) == ByteCount(10 * mib));
}

TEST_CASE("the stricter of two limits on repair is in force") {
    PullBudget budget;
    budget.set_limits({.down = ByteCount(10 * mib), .repair = ByteCount(mib / 2)}, start);
    budget.begin_foreground(start);
    CHECK(repair_rate(budget) == ByteCount(mib / 2));
    budget.set_limits({.down = ByteCount(mib), .repair = ByteCount(4 * mib)}, start);
    CHECK(repair_rate(budget) == ByteCount(mib / 10));
    budget.end_foreground(start);
    CHECK(repair_rate(budget) == ByteCount(mib));
}

TEST_CASE("pieces shrink with the limit, to one checksum block at least") {
    const auto piece = [](std::uint64_t down, std::uint64_t repair, bool is_repair) {
        PullBudget budget;
        budget.set_limits({.down = ByteCount(down), .repair = ByteCount(repair)}, start);
        return budget.shape(DownloadPlanner::Options(), is_repair).piece_bytes_max.value;
    };
    CHECK(piece(0, 0, false) == limits::range_bytes_max);
    CHECK(piece(0, mib, false) == limits::range_bytes_max);
    CHECK(piece(0, mib, true) == mib / 8);
    CHECK(piece(4 * mib, 0, false) == mib / 4);
    CHECK(piece(50'000, 0, false) == limits::checksum_block_bytes);
    CHECK(piece(4 * mib, 16 * mib, true) == mib / 4);
    CHECK(piece(1ULL << 40, 0, false) == limits::range_bytes_max);
}

TEST_CASE("nobody is hedged against for what waits here") {
    PullBudget budget;
    const DownloadPlanner::Options usual;
    CHECK(budget.shape(usual, false).stall_min == usual.stall_min);
    budget.set_limits({.down = ByteCount(mib), .repair = ByteCount(0)}, start);
    CHECK(budget.shape(usual, false).stall_min > usual.stall_min);
    CHECK(budget.shape(usual, false).takeover_saves_min > usual.takeover_saves_min);
}
