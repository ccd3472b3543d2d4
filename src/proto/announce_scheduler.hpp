// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <optional>
#include <random>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <flow29/ids.hpp>
#include "core/time.hpp"
#include "proto/message.hpp"

namespace flow29::proto {

/// Whether a holder has a record for an extent of an object that has so many: of few extents each,
/// of more a share that makes about limits::extent_records_per_object in all. Drawn by the hash of
/// extent and holder, hence the same each time and spread over both.
/// Rationale: every holder of any extent has a record at the root's key and a table of the others,
/// and placement says where an extent lies. Its own record is one way more, worth a little.
[[nodiscard]] bool has_extent_record(const ItemId& extent, const NodeId& holder,
                                     std::uint64_t extents);

/// Decides when each provider record is put into the DHT again.
///
/// Rules:
/// 1. A new item is due at once; afterwards every `period`, with ± `jitter` of it, as if that had
///    gone on since long before: the first time, only what is left of an interval.
///    Rationale: what was published together, or held by a node that has just started, else comes
///    due together for weeks. So each hour brings what the forecast says, the first one too.
/// 2. At most `per_second` puts a second and `in_flight_max` at a time, oldest due first.
/// 3. When the estimate of the network's size doubles, everything is due again, spread over
///    `respread`. Rationale: 30 % of keys become unfindable when 16 nodes grow to 128. The first
///    estimate is what doubling is measured from, then the one that caused the last respread, or a
///    later one of at most half of it.
///    Likewise when the node is found by another address family as well, but spread over no longer
///    than `respread_each` for each record. Rationale: a node learns of its addresses when it
///    starts, and of what was put just before half would be missing until then.
/// 4. Descriptors and single chunks (level 0) always have a record; other extents only while the
///    forecast stays within `puts_per_hour_max`, earlier added first. One that gave way gets its
///    record when there is room again.
///    Rationale: placement and holder tables find extents without a record.
/// 5. A put that failed is due again after `retry`.
/// O(log items) a step.
class AnnounceScheduler {
  public:
    struct Options {
        Duration period = std::chrono::hours(12);
        double jitter = 0.2;
        double per_second = 200;
        std::size_t in_flight_max = 32;
        Duration respread = std::chrono::minutes(10);
        Duration respread_each = std::chrono::milliseconds(100);
        Duration retry = std::chrono::seconds(20);
        double puts_per_hour_max = 2000;
    };
    struct Forecast {
        std::size_t records = 0;  ///< kept in the DHT by this node, or about to be
        double due_per_hour = 0;  ///< puts, on average over a period
        bool behind = false;      ///< something is overdue by more than a tenth of the period
    };

    AnnounceScheduler(Options options, std::uint64_t seed);

    /// `always`: rule 4's first half. Repeated calls change nothing, except that `always` stays
    /// once it was said.
    void add(const ItemId& item, bool always, TimePoint now);
    /// Its room goes to another item at the next poll.
    void remove(const ItemId& item);

    /// The next item whose record to put now, if any; it counts as in flight.
    [[nodiscard]] std::optional<ItemId> poll(TimePoint now);
    /// The put of a polled item ended.
    void on_put(const ItemId& item, bool ok, TimePoint now);
    /// An estimate of how many nodes the DHT has; 0 is no estimate.
    void on_network_size(std::size_t nodes, TimePoint now);

    /// What is put from now on is found in one address family more.
    void on_new_family(TimePoint now);

    /// When `poll` may next have something, without further events.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;
    [[nodiscard]] Forecast forecast(TimePoint now) const;
    void check_invariants() const;

  private:
    struct Item {
        TimePoint due;
        std::optional<TimePoint> again_by;  ///< rule 3 came while a put was in flight
        std::uint64_t order = 0;
        bool always = false;
        bool kept = false;    ///< has a record, or is to have one
        bool spread = false;  ///< has its place in the period: rule 1
    };
    using ByOrder = std::map<std::uint64_t, ItemId>;

    [[nodiscard]] double per_hour(std::size_t records) const;
    [[nodiscard]] double uniform();
    [[nodiscard]] double jittered();
    [[nodiscard]] double jittered_rest();
    [[nodiscard]] bool has_room() const;
    void keep(const ItemId& item, Item& entry, TimePoint now);
    void drop(const ItemId& item, Item& entry);
    void rebalance(TimePoint now);
    void respread(Duration over, TimePoint now);
    void schedule(const ItemId& item, Item& entry, TimePoint due);

    Options options_;
    std::mt19937_64 random_;
    std::unordered_map<ItemId, Item> items_;
    std::set<std::pair<TimePoint, ItemId>> due_;  // kept and not in flight
    std::unordered_set<ItemId> in_flight_;        // removed ones too, until their put ended
    ByOrder optional_kept_;                       // rule 4's second half
    ByOrder optional_waiting_;
    std::size_t kept_ = 0;
    std::size_t network_size_ = 0;
    std::uint64_t next_order_ = 0;
    TimePoint next_slot_ = TimePoint::min();
    TimePoint latest_{};  // poll
};

}  // namespace flow29::proto
