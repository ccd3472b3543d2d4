// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/copy_queue.hpp"

#include <algorithm>

#include "core/assert.hpp"

namespace flow29::proto {
namespace {

constexpr Duration recheck_interval = std::chrono::seconds(1);

}  // namespace

void CopyQueue::set_ready(const ItemId& item, unsigned copies, std::uint64_t order) {
    remove(item);
    const Key key{copies, order, item};
    places_.emplace(item, Place{key, std::nullopt});
    ready_.insert(key);
}

void CopyQueue::put_off(const ItemId& item, TimePoint until) {
    Place& place = places_.at(item);
    FLOW29_ASSERT(ready_.erase(place.key) == 1);
    // What was stuck is still due at its old time.
    if (place.until) waiting_.erase({*place.until, item});
    place.until = until;
    waiting_.emplace(until, item);
}

void CopyQueue::set_stuck(const ItemId& item, TimePoint until) {
    put_off(item, until);
    stuck_.insert(places_.at(item).key);
}

void CopyQueue::remove(const ItemId& item) {
    const auto found = places_.find(item);
    if (found == places_.end()) return;
    const Place& place = found->second;
    ready_.erase(place.key);
    stuck_.erase(place.key);
    if (place.until) waiting_.erase({*place.until, item});
    places_.erase(found);
}

void CopyQueue::on_candidates_changed(TimePoint now) {
    if (!stuck_.empty() && !recheck_at_)
        recheck_at_ = std::max(now, last_recheck_ + recheck_interval);
}

void CopyQueue::wake(TimePoint now) {
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
        Place& place = places_.at(waiting_.begin()->second);
        waiting_.erase(waiting_.begin());
        place.until.reset();
        stuck_.erase(place.key);
        ready_.insert(place.key);
    }
    if (!recheck_at_ || *recheck_at_ > now) return;
    recheck_at_.reset();
    last_recheck_ = now;
    // The smaller set moves into the larger, so that this is O(1) when nothing is ready.
    if (ready_.size() < stuck_.size()) ready_.swap(stuck_);
    ready_.merge(stuck_);
    FLOW29_ASSERT(stuck_.empty());
}

std::optional<ItemId> CopyQueue::first_ready() const {
    if (ready_.empty()) return std::nullopt;
    return ready_.begin()->item;
}

std::optional<TimePoint> CopyQueue::next_deadline() const {
    if (waiting_.empty()) return recheck_at_;
    const TimePoint first = waiting_.begin()->first;
    return recheck_at_ ? std::min(first, *recheck_at_) : first;
}

void CopyQueue::check_invariants() const {
    std::size_t waiting = 0;
    for (const auto& [item, place] : places_) {
        const bool is_ready = ready_.contains(place.key);
        const bool is_stuck = stuck_.contains(place.key);
        FLOW29_ASSERT(!(is_ready && is_stuck));
        FLOW29_ASSERT(is_ready || place.until);
        FLOW29_ASSERT(!place.until || waiting_.contains({*place.until, item}));
        if (place.until) ++waiting;
    }
    FLOW29_ASSERT(waiting == waiting_.size());
    FLOW29_ASSERT(ready_.size() + stuck_.size() <= places_.size());
}

}  // namespace flow29::proto
