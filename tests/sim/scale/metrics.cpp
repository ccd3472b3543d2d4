// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/scale/metrics.hpp"

#include <algorithm>

#include "core/assert.hpp"

namespace flow29::sim::scale {
namespace {

double in_seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

Duration Window::overlap(TimePoint begin, TimePoint end) const {
    return std::max(Duration::zero(), std::min(end, to) - std::max(begin, from));
}

void Burst::count(TimePoint now) {
    const auto minute = now.time_since_epoch() / std::chrono::minutes(1);
    if (minute != minute_) in_minute_ = 0;
    minute_ = minute;
    largest_ = std::max(largest_, ++in_minute_);
}

Truth::Truth(std::size_t extents, unsigned wanted, std::vector<Window> windows)
    : wanted_(wanted), extents_(extents) {
    for (const Window& window : windows) {
        Totals& totals = totals_.emplace_back();
        totals.window = window;
        totals.extent_seconds = static_cast<double>(extents) * in_seconds(window.to - window.from);
    }
}

void Truth::on_copy_live(std::uint32_t extent, TimePoint now) {
    Extent& entry = extents_[extent];
    if (entry.live++ == 0) end_none(entry, now);
    if (entry.live == wanted_) end_under(entry, now, true);
}

void Truth::on_copy_away(std::uint32_t extent, TimePoint now) {
    Extent& entry = extents_[extent];
    FLOW29_ASSERT(entry.live > 0);
    if (entry.live-- == wanted_) entry.under_since = now;
    if (entry.live > 0) return;
    entry.none_since = now;
    count(&Totals::outages, now);
}

void Truth::on_copy_lost(std::uint32_t extent, TimePoint now) {
    FLOW29_ASSERT(extents_[extent].stored > 0);
    --extents_[extent].stored;
    count(&Totals::copies_lost, now);
}

void Truth::on_nodes_changed(std::size_t nodes, std::size_t up, std::size_t links, TimePoint now) {
    integrate(now);
    nodes_ = nodes;
    up_ = up;
    links_ = links;
}

void Truth::count(std::uint64_t Totals::*what, TimePoint now, std::uint64_t by) {
    for (Totals& totals : totals_)
        if (totals.window.contains(now)) totals.*what += by;
}

void Truth::count_put(TimePoint now) {
    count(&Totals::puts, now);
    puts_.count(now);
}

void Truth::count_copy(TimePoint now) {
    count(&Totals::copies_made, now);
    copies_.count(now);
}

void Truth::finish(TimePoint now) {
    integrate(now);
    for (const Extent& extent : extents_) {
        if (extent.live == 0) end_none(extent, now);
        if (extent.live < wanted_) end_under(extent, now, false);
    }
}

void Truth::end_none(const Extent& extent, TimePoint now) {
    for (Totals& totals : totals_)
        totals.none_seconds += in_seconds(totals.window.overlap(extent.none_since, now));
}

void Truth::end_under(const Extent& extent, TimePoint now, bool is_back) {
    for (Totals& totals : totals_) {
        totals.under_seconds += in_seconds(totals.window.overlap(extent.under_since, now));
        if (!is_back || now == extent.under_since) continue;  // when it was published
        if (!totals.window.contains(extent.under_since)) continue;
        totals.under_lengths.push_back(static_cast<float>(in_seconds(now - extent.under_since)));
    }
}

void Truth::integrate(TimePoint now) {
    for (Totals& totals : totals_) {
        const double seconds = in_seconds(totals.window.overlap(integrated_to_, now));
        totals.node_seconds += seconds * static_cast<double>(nodes_);
        totals.up_seconds += seconds * static_cast<double>(up_);
        totals.link_seconds += seconds * static_cast<double>(2 * links_);
    }
    integrated_to_ = now;
}

}  // namespace flow29::sim::scale
