// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/announce_scheduler.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <flow29/limits.hpp>
#include "core/assert.hpp"
#include "core/hash.hpp"

namespace flow29::proto {
namespace {

/// Rounded up, so that a rate limit made of it errs on the slow side.
Duration scaled(Duration duration, double factor) {
    return Duration(
        static_cast<Duration::rep>(std::ceil(static_cast<double>(duration.count()) * factor)));
}

}  // namespace

bool has_extent_record(const ItemId& extent, const NodeId& holder, std::uint64_t extents) {
    const auto records = extents * limits::copies_default;
    if (records <= limits::extent_records_per_object) return true;
    const auto digest = core::sha256({ByteView(extent.hash), holder.view()});
    std::uint64_t drawn = 0;
    for (std::size_t i = 0; i < sizeof drawn; ++i)
        drawn = drawn << 8 | digest[i];
    return drawn % records < limits::extent_records_per_object;
}

AnnounceScheduler::AnnounceScheduler(Options options, std::uint64_t seed)
    : options_(options), random_(seed) {
    FLOW29_ASSERT(options_.period > Duration::zero());
    FLOW29_ASSERT(options_.jitter >= 0 && options_.jitter < 1);
    FLOW29_ASSERT(options_.per_second > 0);
    FLOW29_ASSERT(options_.in_flight_max > 0);
}

void AnnounceScheduler::add(const ItemId& item, bool always, TimePoint now) {
    const auto [found, is_new] = items_.try_emplace(item);
    Item& entry = found->second;
    if (is_new) {
        entry.due = now;
        entry.order = next_order_++;
        if (!always) optional_waiting_.emplace(entry.order, item);
    }
    if (always && !entry.always) {
        optional_kept_.erase(entry.order);
        optional_waiting_.erase(entry.order);
        entry.always = true;
        if (!entry.kept) keep(item, entry, now);
    }
    rebalance(now);
}

void AnnounceScheduler::remove(const ItemId& item) {
    const auto found = items_.find(item);
    if (found == items_.end()) return;
    if (found->second.kept) drop(item, found->second);
    optional_kept_.erase(found->second.order);
    optional_waiting_.erase(found->second.order);
    items_.erase(found);  // the next poll gives its room to another
}

std::optional<ItemId> AnnounceScheduler::poll(TimePoint now) {
    latest_ = std::max(latest_, now);
    rebalance(now);
    if (in_flight_.size() >= options_.in_flight_max || now < next_slot_) return std::nullopt;
    if (due_.empty() || due_.begin()->first > now) return std::nullopt;
    const ItemId item = due_.begin()->second;
    due_.erase(due_.begin());
    in_flight_.insert(item);
    next_slot_ = now + scaled(std::chrono::seconds(1), 1 / options_.per_second);
    return item;
}

void AnnounceScheduler::on_put(const ItemId& item, bool ok, TimePoint now) {
    if (in_flight_.erase(item) == 0) return;
    const auto found = items_.find(item);
    if (found == items_.end()) return;  // removed meanwhile

    Item& entry = found->second;
    TimePoint due = now + options_.retry;
    if (ok) {
        due = now + scaled(options_.period, entry.spread ? jittered() : jittered_rest());
        entry.spread = !entry.again_by;
    }
    if (entry.again_by) due = std::min(due, std::max(now, *entry.again_by));
    entry.again_by.reset();
    schedule(item, entry, due);
}

void AnnounceScheduler::on_network_size(std::size_t nodes, TimePoint now) {
    if (nodes == 0) return;
    const bool doubled = network_size_ != 0 && nodes / 2 >= network_size_;
    const bool halved = nodes <= network_size_ / 2;
    if (doubled) respread(options_.respread, now);
    if (network_size_ == 0 || doubled || halved) network_size_ = nodes;
}

void AnnounceScheduler::on_new_family(TimePoint now) {
    const auto records = static_cast<Duration::rep>(kept_);
    respread(std::min(options_.respread, options_.respread_each * records), now);
}

std::optional<TimePoint> AnnounceScheduler::next_deadline() const {
    if (in_flight_.size() >= options_.in_flight_max) return std::nullopt;
    if (has_room() && !optional_waiting_.empty()) return std::max(latest_, next_slot_);
    if (due_.empty()) return std::nullopt;
    return std::max(due_.begin()->first, next_slot_);
}

AnnounceScheduler::Forecast AnnounceScheduler::forecast(TimePoint now) const {
    Forecast result{.records = kept_, .due_per_hour = per_hour(kept_)};
    result.behind = !due_.empty() && now - due_.begin()->first > options_.period / 10;
    return result;
}

double AnnounceScheduler::per_hour(std::size_t records) const {
    using Hours = std::chrono::duration<double, std::ratio<3600>>;
    return static_cast<double>(records) / Hours(options_.period).count();
}

/// In [0, 1), the same with every standard library.
double AnnounceScheduler::uniform() {
    return std::ldexp(static_cast<double>(random_() >> 11), -53);
}

/// From one renewal to the next, in periods.
double AnnounceScheduler::jittered() {
    return 1 + options_.jitter * (2 * uniform() - 1);
}

/// From a moment that has nothing to do with the renewals to the next of them. That moment falls
/// into an interval with a probability in proportion to its length, and anywhere in it.
double AnnounceScheduler::jittered_rest() {
    const double least = 1 - options_.jitter;
    const double most = 1 + options_.jitter;
    const double length = std::sqrt(std::lerp(least * least, most * most, uniform()));
    return length * uniform();
}

/// For one optional item more.
bool AnnounceScheduler::has_room() const {
    return per_hour(kept_ + 1) <= options_.puts_per_hour_max;
}

void AnnounceScheduler::keep(const ItemId& item, Item& entry, TimePoint now) {
    FLOW29_ASSERT(!entry.kept);
    entry.kept = true;
    ++kept_;
    // What waited for room was not overdue while it waited.
    if (!in_flight_.contains(item)) schedule(item, entry, std::max(entry.due, now));
}

void AnnounceScheduler::drop(const ItemId& item, Item& entry) {
    FLOW29_ASSERT(entry.kept);
    entry.kept = false;
    --kept_;
    due_.erase({entry.due, item});
}

/// Gives records to, or takes them from, optional items: rule 4.
void AnnounceScheduler::rebalance(TimePoint now) {
    while (per_hour(kept_) > options_.puts_per_hour_max && !optional_kept_.empty()) {
        const auto newest = std::prev(optional_kept_.end());
        drop(newest->second, items_.at(newest->second));
        optional_waiting_.insert(optional_kept_.extract(newest));
    }
    while (has_room() && !optional_waiting_.empty()) {
        const auto oldest = optional_waiting_.begin();
        keep(oldest->second, items_.at(oldest->second), now);
        optional_kept_.insert(optional_waiting_.extract(oldest));
    }
}

void AnnounceScheduler::respread(Duration over, TimePoint now) {
    due_.clear();
    for (auto& [item, entry] : items_) {
        const TimePoint by = now + scaled(over, uniform());
        entry.spread = false;
        if (in_flight_.contains(item))
            entry.again_by = by;
        else
            schedule(item, entry, std::min(entry.due, by));
    }
}

/// The item is due at `due` if it has a record; else that is when it would have been.
void AnnounceScheduler::schedule(const ItemId& item, Item& entry, TimePoint due) {
    entry.due = due;
    if (entry.kept) due_.emplace(due, item);
}

void AnnounceScheduler::check_invariants() const {
    std::size_t kept = 0;
    std::size_t due = 0;
    for (const auto& [item, entry] : items_) {
        const bool is_due = due_.contains({entry.due, item});
        if (entry.kept) ++kept;
        if (is_due) ++due;
        FLOW29_ASSERT(is_due == (entry.kept && !in_flight_.contains(item)));
        FLOW29_ASSERT(entry.kept || !entry.always);
        FLOW29_ASSERT(optional_kept_.contains(entry.order) == (entry.kept && !entry.always));
        FLOW29_ASSERT(optional_waiting_.contains(entry.order) == !entry.kept);
    }
    FLOW29_ASSERT(kept == kept_);
    FLOW29_ASSERT(due == due_.size());
    FLOW29_ASSERT(optional_kept_.size() + optional_waiting_.size() <= items_.size());
    FLOW29_ASSERT(in_flight_.size() <= options_.in_flight_max);
    FLOW29_ASSERT(optional_kept_.empty() || per_hour(kept_) <= options_.puts_per_hour_max);
}

}  // namespace flow29::proto
