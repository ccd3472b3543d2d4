// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/time.hpp"
#include "proto/message.hpp"
#include "proto/node_table.hpp"

namespace flow29::proto {

/// Decides whom to invite to hold what, so that every item has its copies. Publishing and repair are
/// the same decision: a publisher's own copy does not count and it acts at once; a holder's own copy
/// counts and it acts when it is its turn.
///
/// Rules:
/// 1. An item below its target is worked on, fewest live copies first, then the earlier added.
///    Rationale: the next loss must not be the last copy.
/// 2. Among the live holders of an item, the one ranked first (by hash of node and key, all compute
///    the same) acts at once; rank r waits r × `takeover` for it. With `always_act` there is no wait.
///    Rationale: disagreement costs a message, never a copy; a dead actor delays, never stops.
/// 3. The target of an invitation is the best candidate (NodeTable::candidates) that neither holds
///    the item, nor was invited, nor refused it within `retry`.
/// 4. An invitation that is neither answered nor fulfilled within `patience` of its last sign of life
///    is given up and another candidate is asked; a late success still counts.
/// 5. At most `bytes_in_flight_max` are on their way by our invitation at a time, one item at least.
/// 6. Nothing is begun while the table is cut off: suspect yourself first.
/// 7. A holder counts while NodeTable::counts(it); a copy that its holder denies does not count.
///
/// O(log items) for each step; a node that goes costs O(items it held).
class CopyPlanner {
  public:
    struct Options {
        NodeId self;
        bool self_is_copy = true;   ///< false for a publisher: its own copy may leave
        bool always_act = false;
        Duration takeover = std::chrono::seconds(10);
        Duration patience = std::chrono::seconds(60);
        Duration retry = std::chrono::minutes(2);
        ByteCount bytes_in_flight_max{256ULL * 1024 * 1024};
    };
    struct Invitation {
        ItemId item;
        RootHash root;
        ByteCount length;
        NodeId target;
    };
    struct Counts {
        std::size_t items = 0;
        std::size_t under_target = 0;
        std::size_t in_flight = 0;  ///< invitations
        std::size_t min_copies = 0; ///< over all items; 0 when there are none
        std::size_t sum_copies = 0;
    };

    /// Requires `table` to outlive the planner.
    CopyPlanner(const NodeTable& table, Options options);

    /// Begins to care for an item; repeated calls raise the target or add nothing.
    void add_item(const ItemId& item, const RootHash& root, ByteCount length, unsigned copies);
    void remove_item(const ItemId& item);
    [[nodiscard]] bool has_item(const ItemId& item) const;

    /// `node` is known to hold the item durably (it said so itself, or a trusted table did).
    void on_copy(const ItemId& item, const NodeId& node, TimePoint now);
    /// `node` says that it does not hold it.
    void on_no_copy(const ItemId& item, const NodeId& node, TimePoint now);
    /// The answer to an invitation.
    void on_answer(const ItemId& item, const NodeId& node, InviteAnswer answer, TimePoint now);
    /// The invited node failed to get it, or the connection broke before an answer.
    void on_invite_failed(const ItemId& item, const NodeId& node, TimePoint now);
    /// A node appeared, went missing, or is gone: its items are looked at again.
    void on_node_changed(const NodeId& node, TimePoint now);
    /// A candidate appeared: items that had nobody to ask are looked at again.
    void on_candidates_changed(TimePoint now);

    /// The next invitation to send now, if any; it counts as sent.
    [[nodiscard]] std::optional<Invitation> poll_invite(TimePoint now, WallTime wall_now);
    /// When poll_invite may next have something, without further events.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    /// Nodes (self left out) believed to hold the item, whether they count now or not.
    [[nodiscard]] std::vector<NodeId> holders(const ItemId& item) const;
    /// Copies that count now: holders that count, and self if self_is_copy.
    [[nodiscard]] unsigned copies(const ItemId& item) const;
    [[nodiscard]] unsigned target(const ItemId& item) const;
    /// True when nothing can be done for the item now: below target, nobody on the way, nobody to ask.
    [[nodiscard]] bool stuck(const ItemId& item, TimePoint now, WallTime wall_now) const;
    [[nodiscard]] std::vector<ItemId> items_of(const NodeId& node) const;
    [[nodiscard]] std::vector<ItemId> items() const;
    [[nodiscard]] Counts counts() const;

    void check_invariants() const;

  private:
    struct Pending {
        TimePoint since;
        bool accepted = false;
    };
    struct Item {
        RootHash root;
        ByteCount length;
        DhtKey key;
        unsigned target = 0;
        std::uint64_t order = 0;
        std::set<NodeId> holders;
        std::unordered_map<NodeId, Pending> pending;
        std::unordered_map<NodeId, TimePoint> refused_until;
        TimePoint under_since;   ///< when it fell below target
        TimePoint look_at;       ///< not before
        unsigned queued_copies = 0;
        bool queued = false;
    };
    // The queue's key: due items are taken by fewest copies first.
    struct QueueKey {
        unsigned copies;
        std::uint64_t order;
        ItemId item;
        auto operator<=>(const QueueKey&) const = default;
    };

    const NodeTable& table_;  // owned by the node
    Options options_;
    std::unordered_map<ItemId, Item> items_;
    std::unordered_map<NodeId, std::unordered_set<ItemId>> by_node_;
    std::set<QueueKey> under_target_;
    ByteCount bytes_in_flight_;
    std::uint64_t next_order_ = 0;
};

}  // namespace flow29::proto
