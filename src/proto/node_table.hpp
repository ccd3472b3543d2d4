// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/placement.hpp"
#include "core/time.hpp"
#include "proto/record.hpp"

namespace flow29::proto {

/// What this node believes about the nodes it has met: who is there, since when somebody is
/// missing, who said it was full. Sans-IO; the node layer feeds it from its connections.
///
///     unknown ──on_known──────────────────────────> │
///     unknown ──on_alive──> alive ──on_missing──> missing ──grace──> gone
///                             ^                      │                │
///                             └──────on_alive────────┴────────────────┘
///
/// Rules:
/// 1. Only nodes that proved their key over TLS enter, by their signed record.
///    Rationale: lists from the DHT hold dead, unconfirmed and forged entries.
/// 2. A missing node still counts as a holder until the grace period ends.
///    Rationale: a reboot must not cost a repair.
/// 3. When every known node went missing, none of them is gone: it is this node that is cut off.
/// The
///    time until somebody answers again does not count towards anybody's grace.
///    Rationale: a holder whose cable was pulled for an hour must not repair the world on return.
/// 4. Of one node's records the one with the highest sequence counts.
/// 5. Where nodes are listed by how near they are, a scarce address group (core::is_scarce) has
///    `per_group_max` places; who is over comes after all others. A node's group is that of the
///    address where it was seen, and only if that is not scarce the one that it claims.
///    Rationale: identities next to a key cost nothing, and without a bound those of one network
///    would be all that anybody sees there.
/// 6. At most `nodes_max` are known. The longest gone is forgotten first, then the longest missing,
///    who thereby is gone; when all are alive, a newcomer is not entered.
class NodeTable {
  public:
    static constexpr std::size_t per_group_max = 1;

    enum class State : std::uint8_t { alive, missing, gone };

    struct Options {
        NodeId self;
        bool self_stores = false;  ///< and so is a candidate to others
        Duration grace = std::chrono::minutes(5);
        Duration grace_known_max = std::chrono::minutes(5);  ///< of those only known, see on_known
        Duration youth = std::chrono::minutes(10);           ///< uptime below which a node is young
        Duration room_news_pause = std::chrono::seconds(10);
        std::size_t nodes_max = 4096;  ///< the longest-gone are forgotten first
    };
    struct Entry {
        NodeRecord record;
        core::AddressGroup group;
        State state = State::alive;
        TimePoint since;                          ///< of the present state
        TimePoint gone_at;                        ///< when missing: the end of its grace period
        TimePoint full_until = TimePoint::min();  ///< not a candidate before
        TimePoint poor_until = TimePoint::min();  ///< better led by others before
        TimePoint silent_until = TimePoint::min();
        std::optional<TimePoint> room_at;  ///< when it last said that it has room again
    };

    explicit NodeTable(Options options);

    /// A node proved who it is (or, still connected, sent a newer record), at the address `seen` if
    /// that is told. Self is ignored.
    void on_alive(const NodeRecord& record, TimePoint now,
                  const std::optional<core::Endpoint>& seen = std::nullopt);
    /// It was known before this node restarted: missing from now on, unless it was met already,
    /// with the grace period or `grace_known_max`, whichever is shorter. Rationale: who restarts
    /// while others are away must wait for them as everybody does; but since when they are away it
    /// does not know, and where everybody restarts now and then, a long grace period that begins
    /// anew each time would never end.
    void on_known(const NodeRecord& record, TimePoint now);
    /// Its last connection ended and could not be made again.
    void on_missing(const NodeId& node, TimePoint now);
    /// It said on purpose that it leaves: gone at once, without grace.
    void on_goodbye(const NodeId& node, TimePoint now);
    /// It refused an invitation; not asked again before `until`.
    void on_full(const NodeId& node, TimePoint until);
    /// Others were to pull something from it, and could not: CopyPlanner, rule 12.
    void on_poor_lead(const NodeId& node, TimePoint until);
    [[nodiscard]] bool may_lead(const NodeId& node, TimePoint now) const;
    /// It left an invitation without an answer, or gets nothing from those who have what it is to
    /// keep: until then others are invited before it.
    void on_silent(const NodeId& node, TimePoint until);
    [[nodiscard]] bool is_silent(const NodeId& node, TimePoint now) const;
    /// It says that it has room again: it may be asked at once. False, and of no consequence, more
    /// often than every `room_news_pause`. Rationale: each time, all that lacks copies may be
    /// offered to it.
    [[nodiscard]] bool on_room(const NodeId& node, TimePoint now);
    [[nodiscard]] bool got_room_since(const NodeId& node, TimePoint time) const;

    /// Whether this node is a candidate to others, as in Options.
    void set_self_stores(bool stores) { options_.self_stores = stores; }
    /// Where this node lives itself, once it knows.
    void set_self_group(const core::AddressGroup& group) { self_group_ = group; }
    /// The address group of a node that is known, or of this one.
    [[nodiscard]] std::optional<core::AddressGroup> group_of(const NodeId& node) const;

    /// Applies the grace period. Returns the nodes that became gone since the last call, however
    /// that came about, and are not back.
    [[nodiscard]] std::vector<NodeId> expire(TimePoint now);
    /// When `expire` next has something to do.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    [[nodiscard]] const Entry* find(const NodeId& node) const;
    [[nodiscard]] bool is_alive(const NodeId& node) const;
    /// Alive, or missing within the grace period: counts as a holder of what it acknowledged.
    [[nodiscard]] bool counts(const NodeId& node) const;
    [[nodiscard]] std::size_t alive() const { return alive_; }
    /// True when there is nobody left to confirm that others are lost.
    [[nodiscard]] bool cut_off() const { return alive_ == 0; }
    [[nodiscard]] std::vector<NodeRecord> alive_records() const;
    /// Missing nodes, for the node layer to dial again.
    [[nodiscard]] std::vector<NodeRecord> missing_records() const;

    /// The alive storing nodes nearest to `key` by XOR distance, at most limits::candidates_max,
    /// that are not full (and rule 5), in placement order (core::rank_candidates). This node takes
    /// its place among these and is left out: others count it in, and two nodes that act for one
    /// key must not choose differently because each sees one more than the other. Young is who is
    /// up for less than `youth`, or than half the candidates' median if that is less, so that a
    /// fresh swarm works. O(nodes).
    [[nodiscard]] std::vector<core::Candidate> candidates(const DhtKey& key, TimePoint now,
                                                          WallTime wall_now) const;
    /// The alive storing nodes nearest to `key`, nearest first but for rule 5. For GetClosest.
    [[nodiscard]] std::vector<NodeRecord> nearest(const DhtKey& key, std::size_t count_max) const;
    /// The same, without copying their records.
    [[nodiscard]] std::vector<NodeId> nearest_ids(const DhtKey& key, std::size_t count_max) const;

    void check_invariants() const;

  private:
    using ByTime = std::set<std::pair<TimePoint, NodeId>>;
    struct Near;

    void leave_state(const NodeId& node, const Entry& entry, TimePoint now);
    void become_gone(const NodeId& node, Entry& entry, TimePoint since);
    void end_cut_off(TimePoint now);
    bool make_room(TimePoint now);
    template <class Predicate>
    std::vector<Near> nearest_if(const DhtKey& key, std::size_t count_max, Predicate wanted) const;

    Options options_;
    std::optional<core::AddressGroup> self_group_;
    std::unordered_map<NodeId, Entry> nodes_;
    std::size_t alive_ = 0;
    ByTime missing_;               // by gone_at
    ByTime gone_;                  // by since
    std::set<NodeId> unreported_;  // gone since the last expire()
    std::optional<TimePoint> unreported_since_;
    TimePoint cut_off_since_;  // when alive_ fell to 0
};

}  // namespace flow29::proto
