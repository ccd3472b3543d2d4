// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/time.hpp"
#include "proto/message.hpp"

namespace flow29::proto {

/// The items a CopyPlanner has to look at: fewest copies first, then the earlier added.
///
///     ready ──put_off───> waiting ──────────────in time──────────────> ready
///       └────set_stuck──> stuck ──in time, or candidates changed─────> ready
///
/// An item is in one of these at most. Every step is O(log items), but making all stuck items ready
/// again, which happens at most once a second, is O(n log n) in the fewer of the stuck and the
/// ready.
class CopyQueue {
  public:
    void set_ready(const ItemId& item, unsigned copies, std::uint64_t order);
    /// From ready: not to be looked at before `until`.
    void put_off(const ItemId& item, TimePoint until);
    /// From ready: there is nobody to ask; to be looked at when candidates change, at the latest at
    /// `until`.
    void set_stuck(const ItemId& item, TimePoint until);
    void remove(const ItemId& item);

    void on_candidates_changed(TimePoint now);
    /// Makes ready what is due.
    void wake(TimePoint now);

    [[nodiscard]] std::optional<ItemId> first_ready() const;
    /// When `wake` next has something to do.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    [[nodiscard]] bool contains(const ItemId& item) const { return places_.contains(item); }
    [[nodiscard]] std::size_t size() const { return places_.size(); }

    void check_invariants() const;

  private:
    struct Key {
        unsigned copies;
        std::uint64_t order;
        ItemId item;
        auto operator<=>(const Key&) const = default;
    };
    struct Place {
        Key key;
        std::optional<TimePoint> until;  // in waiting_
    };

    std::unordered_map<ItemId, Place> places_;
    std::set<Key> ready_;
    std::set<Key> stuck_;
    std::set<std::pair<TimePoint, ItemId>> waiting_;  // the stuck, too
    std::optional<TimePoint> recheck_at_;             // of all that is stuck
    TimePoint last_recheck_ = TimePoint::min();
};

}  // namespace flow29::proto
