// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/time.hpp"
#include "proto/copy_queue.hpp"
#include "proto/holder_list.hpp"
#include "proto/message.hpp"
#include "proto/node_table.hpp"

namespace flow29::proto {

/// Decides whom to invite to hold what, so that every item has its copies. Publishing and repair
/// are the same decision: a publisher's own copy does not count and it acts at once; a holder's own
/// copy counts and it acts when it is its turn.
///
/// Rules:
/// 1. An item below its target is worked on, fewest live copies first, then the earlier added.
///    Rationale: the next loss must not be the last copy.
/// 2. Among the live holders of an item, self included, the one ranked first (by SHA-256(key ‖ node
///    id), all compute the same) acts at once; rank r waits r × `takeover` for it, anew whenever
///    the number of copies changes. With `always_act` there is no wait. Rationale: disagreement
///    costs a message, never a copy; a dead actor delays, never stops.
///    With `settle`, a new item is left alone for so long first, `always_act` apart.
///    Rationale: after a start, holders count only once they are met; until then everything looks
///    lost.
/// 3. The target of an invitation is, of the candidates (NodeTable::candidates) that neither hold
///    the item, nor were invited, nor refused it within `retry` (unless they said since that they
///    have room), the best one in the address group with the fewest copies, those on the way and
///    this node's own included.
///    Rationale: the ranking keeps the copies apart that it places itself; who holds the others may
///    have been chosen from other candidates.
/// 4. An invitation that is neither answered nor fulfilled within `patience` of its last sign of
///    life (being sent, `accepted`, `coming`, or whatever on_sign_of_life tells of its node) is
///    given up, as if refused, and another candidate is asked; a late success still counts. So is
///    one whose node goes missing. `busy` is a refusal for `busy_retry`, and not the end: an item
///    is not stuck that only waits for that.
/// 5. At most `bytes_in_flight_max` are on their way by our invitation at a time, one item at
/// least.
///    Nothing overtakes an item that waits for this.
/// 6. Nothing is begun while the table is cut off: suspect yourself first.
/// 7. A holder counts while NodeTable::counts(it), or only while it is alive: `counts_missing`. A
/// copy
///    that its holder denies does not count.
/// 8. When copies come back, invitations beyond what is still missing (with its spare ones) are
///    called off, the latest first.
/// 9. An item for which there was nobody to ask is looked at again when candidates change (at most
///    once a second), when a refusal ends, and in any case after `retry`.
/// 10. An item that fell below its target, and of which `spare_from` or more holders are away, is
///    brought to target + `spare`, in the same breath; at or above its target nothing is begun,
///    whatever became of the spare ones.
///    Rationale: where holders come and go, a loss is soon followed by the next. A first loss may
///    be the only one for months, and costs no more than what was lost.
/// 11. Of those invited to hold an item of which there is no live copy, one is to lead: to pull it
///    from this node, where the others pull from it. Another leads when the first is given up.
///    Rationale: who publishes over a slow line sends everything once, not four times.
/// 12. When somebody invited who does not lead begins to pull an item from this node (on_pulled),
///    whoever was to lead is a poor lead, if it has the item by then, or gave no sign of life for
///    `lead_patience`. Poor leads (NodeTable::may_lead) lead only where nobody else can be invited
///    after them.
///    Where the lead has it, and at least as many others as still lack it, whoever begins to pull
///    is told of instead, as one of rule 13. Rationale: who follows turns to this node when its
///    lead lies, stalls or lacks what it said it has, and that costs a wait. Who blames an honest
///    lead gains that another one leads. Whom those who have it do not talk to any more, as it lied
///    to them, would cost that wait each time.
/// 13. With `answer_patience`: once at least half of all invitations were answered, one that is not
///     for that long, and for four times as long as those took on average, is given up as if its
///     node were busy; is it accepted after all, and not missing any more, it is called off. Of the
///     candidates of rule 3, those that left an invitation without an answer (NodeTable::is_silent)
///     come last.
///     Rationale: who is connected and says nothing would keep its place for `patience`. Where the
///     line of this node is slow, all answers are.
///
/// O(log items) for each step, one look for candidates among them; a node that goes costs
/// O(items it held).
class CopyPlanner {
  public:
    struct Options {
        NodeId self;
        core::KeySpace keys{};     ///< of the swarm
        bool self_is_copy = true;  ///< false for a publisher: its own copy may leave
        bool always_act = false;
        bool counts_missing = true;  ///< within their grace period
        unsigned spare = 1;          ///< copies above the target that a repair makes as well
        unsigned spare_from = 2;     ///< holders that are away
        Duration takeover = std::chrono::seconds(10);
        Duration settle = Duration::zero();
        Duration patience = std::chrono::seconds(60);
        Duration lead_patience = std::chrono::seconds(4);
        std::optional<Duration> answer_patience{};  ///< none: `patience`
        Duration retry = std::chrono::minutes(2);
        Duration busy_retry = std::chrono::seconds(15);
        ByteCount bytes_in_flight_max{256ULL * 1024 * 1024};
    };
    struct Invitation {
        ItemId item;
        RootHash root;
        ByteCount length;
        NodeId target;
        bool leads = false;  ///< rule 11
    };
    /// An invitation that is no longer wanted.
    struct Withdrawn {
        ItemId item;
        RootHash root;
        NodeId target;
    };
    struct Counts {
        std::size_t items = 0;
        std::size_t under_target = 0;
        std::size_t in_flight = 0;   ///< invitations
        std::size_t min_copies = 0;  ///< over all items; 0 when there are none
        std::size_t sum_copies = 0;
        ByteCount bytes_wanted;  ///< of all copies up to the targets
        ByteCount bytes_made;  ///< of these, what there is; copies beyond a target make up for none
    };

    /// Requires `table` to outlive the planner.
    CopyPlanner(const NodeTable& table, Options options);

    /// Begins to care for an item; repeated calls raise the target or add nothing. More than
    /// limits::copies_max copies are not aimed at.
    void add_item(const ItemId& item, const RootHash& root, ByteCount length, unsigned copies);
    void remove_item(const ItemId& item);
    /// From now on as many copies are wanted as said, be it fewer, and for this object. Requires
    /// has_item. Copies beyond the target are not taken from anybody.
    void change_item(const ItemId& item, const RootHash& root, unsigned copies);
    /// This node has an item that is cared for, but nobody else counts it as a holder (its
    /// publisher): it acts after all holders, and its address group is as good as any.
    void set_bystander(const ItemId& item);
    [[nodiscard]] bool has_item(const ItemId& item) const;

    /// `node` is known to hold the item durably (it said so itself, or a trusted table did).
    /// Of items not cared for, nothing is remembered.
    void on_copy(const ItemId& item, const NodeId& node, TimePoint now);
    /// `node` says that it does not hold it.
    void on_no_copy(const ItemId& item, const NodeId& node, TimePoint now);
    /// The answer to an invitation. `accepted` may come again, as a sign of life.
    void on_answer(const ItemId& item, const NodeId& node, InviteAnswer answer, TimePoint now);
    /// The invited node failed to get it, or the connection broke before an answer.
    void on_invite_failed(const ItemId& item, const NodeId& node, TimePoint now);
    /// `node` does something for what it was invited to: all its invitations are young again.
    /// O(items it holds or was invited to).
    void on_sign_of_life(const NodeId& node, TimePoint now);
    /// `node` asked this node for an item's bytes. The poor lead that this shows, if any: rule 12,
    /// NodeTable::on_poor_lead.
    [[nodiscard]] std::optional<NodeId> on_pulled(const ItemId& item, const NodeId& node,
                                                  TimePoint now);
    /// A node appeared, went missing, or is gone, as `table` says already: its items are looked at
    /// again.
    void on_node_changed(const NodeId& node, TimePoint now);
    /// A candidate appeared: items that had nobody to ask are looked at again. O(1).
    void on_candidates_changed(TimePoint now);

    /// The next invitation to send now, if any; it counts as sent. A call looks at a bounded number
    /// of items: nothing is left to do only when `next_deadline` is in the future as well.
    [[nodiscard]] std::optional<Invitation> poll_invite(TimePoint now, WallTime wall_now);
    /// Nodes that rules 12 and 13 found to let others wait, since the last call: for
    /// NodeTable::on_silent.
    [[nodiscard]] std::set<NodeId> take_silent() { return std::exchange(silent_, {}); }
    /// The invitations called off since the last call.
    [[nodiscard]] std::vector<Withdrawn> take_withdrawn() { return std::exchange(withdrawn_, {}); }
    /// When poll_invite may next have something, without further events.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    /// Of an item that is cared for.
    [[nodiscard]] RootHash root_of(const ItemId& item) const { return items_.at(item).root; }
    [[nodiscard]] ByteCount length_of(const ItemId& item) const { return items_.at(item).length; }
    /// Nodes (self left out) believed to hold the item, whether they count now or not.
    [[nodiscard]] std::vector<NodeId> holders(const ItemId& item) const;
    /// Nodes that are invited to hold it and have not answered for good.
    [[nodiscard]] std::vector<NodeId> invited(const ItemId& item) const;
    /// Copies that count now: holders that count, and self if self_is_copy.
    [[nodiscard]] unsigned copies(const ItemId& item) const;
    [[nodiscard]] unsigned target(const ItemId& item) const;
    /// True when nothing can be done for the item now: below target, nobody on the way, nobody to
    /// ask, and nobody who was only busy.
    [[nodiscard]] bool stuck(const ItemId& item, TimePoint now, WallTime wall_now) const;
    /// Whom to ask to keep the item so that this node's copy may go: live holders, one of each
    /// address group first, then the others. Empty when they would not be enough, all together.
    [[nodiscard]] std::vector<NodeId> others_to_rely_on(const ItemId& item) const;
    /// Whether the copies of these alone, all live holders, would be as many as are wanted, and in
    /// as many address groups as all live copies are, if more are not wanted.
    [[nodiscard]] bool are_enough(const ItemId& item, const std::vector<NodeId>& nodes) const;
    /// Whether `node` ranks before this one for the item: it acts first, and lets go last.
    [[nodiscard]] bool ranks_before_us(const ItemId& item, const NodeId& node) const;
    /// What `node` is believed to hold.
    [[nodiscard]] std::vector<ItemId> items_of(const NodeId& node) const;
    [[nodiscard]] std::vector<ItemId> items() const;
    /// Nodes (self left out) believed to hold anything, sorted. O(nodes × log nodes).
    [[nodiscard]] std::vector<NodeId> holding_nodes() const;
    /// Items for which there was nobody to ask, each once since the last call; not more than 64.
    [[nodiscard]] std::vector<ItemId> take_stuck() { return std::exchange(stuck_, {}); }
    /// Over all items, as of each one's last event. O(1).
    [[nodiscard]] Counts counts() const;

    void check_invariants() const;

  private:
    struct Refusal {
        TimePoint at;
        TimePoint until;
        bool is_busy = false;
    };
    struct Pending {
        TimePoint until;  // given up at
        bool leads = false;
        bool pulls = false;  // from this node
        std::optional<TimePoint> unanswered_since = {};
        auto operator<=>(const Pending&) const = default;
    };
    struct Item {
        RootHash root;
        ByteCount length;
        DhtKey key;
        unsigned target = 0;
        std::uint64_t order = 0;
        bool bystander = false;
        HolderList holders;                 // never self; did it count, when last counted?
        std::map<NodeId, Pending> pending;  // invited
        std::unordered_map<NodeId, Refusal> refusals;
        unsigned copies = 0;  // as counted last
        std::optional<TimePoint> settled_at;
        std::optional<TimePoint> under_since;  // when we first saw the present number of copies
    };
    struct OfNode {
        std::unordered_set<ItemId> items;
        std::size_t held = 0;   // of these; to the others it is invited
        bool all_count = true;  // of these, all that it holds, when last counted
    };
    struct Expiry {
        TimePoint at;
        ItemId item;
        NodeId node;
        auto operator<=>(const Expiry&) const = default;
    };
    [[nodiscard]] Item* find(const ItemId& item);
    [[nodiscard]] const Item* find(const ItemId& item) const;
    [[nodiscard]] bool is_counted(const NodeId& node) const;
    [[nodiscard]] unsigned count_copies(const Item& entry) const;
    [[nodiscard]] unsigned goal(const Item& entry) const;
    [[nodiscard]] bool wants_more(const Item& entry) const;
    [[nodiscard]] TimePoint our_turn(const Item& entry) const;
    [[nodiscard]] bool fits(const Item& entry) const;
    [[nodiscard]] std::optional<NodeId> choose(const Item& entry, TimePoint now,
                                               WallTime wall_now) const;
    [[nodiscard]] std::vector<core::AddressGroup> groups_used(const Item& entry) const;
    void count_in(const Item& entry);
    void count_out(const Item& entry);
    void refresh(const ItemId& item, Item& entry);
    void call_off_surplus(const ItemId& item, Item& entry);
    void set_copies(const ItemId& item, Item& entry, unsigned copies);
    [[nodiscard]] TimePoint look_again_at(const Item& entry, TimePoint now) const;
    [[nodiscard]] bool lacks_lead(const Item& entry) const;
    void add_pending(const ItemId& item, Item& entry, const NodeId& node, Pending pending);
    bool end_pending(const ItemId& item, Item& entry, const NodeId& node);
    void refuse(const ItemId& item, const NodeId& node, TimePoint until, bool is_busy = false);
    void forget_if_unrelated(const ItemId& item, const Item& entry, const NodeId& node);
    void note_new_items(TimePoint now);
    void give_up_late(TimePoint now);
    void note_answer(const ItemId& item, const NodeId& node, TimePoint now);
    [[nodiscard]] std::optional<Duration> answers_within() const;
    Invitation invite(const ItemId& item, Item& entry, const NodeId& node, TimePoint now,
                      WallTime wall_now);

    const NodeTable& table_;  // owned by the node
    Options options_;
    std::unordered_map<ItemId, Item> items_;
    std::unordered_map<NodeId, OfNode> by_node_;  // holders and invited
    std::unordered_map<ItemId, NodeId> leads_;    // who was to lead last, be it done or given up
    std::vector<ItemId> new_items_;               // added since the last poll
    CopyQueue queue_;                             // what is below target, counting those on the way
    std::set<Expiry> expiries_;                   // one for each that is pending
    std::set<Expiry> unanswered_;                 // of these, by when they were sent
    std::size_t answered_ = 0;                    // invitations, so far
    Duration answer_time_{};                      // of all these together
    TimePoint latest_{};                          // of the times that came in
    bool blocked_ = false;  // the first in the queue does not fit, and nothing changed since
    ByteCount bytes_in_flight_;
    std::vector<ItemId> stuck_;         // not yet told
    std::set<NodeId> silent_;           // not yet told
    std::vector<Withdrawn> withdrawn_;  // not yet told
    std::uint64_t next_order_ = 0;
    std::map<unsigned, std::size_t> items_by_copies_;
    std::size_t sum_copies_ = 0;
    std::size_t under_target_ = 0;
    ByteCount bytes_wanted_;
    ByteCount bytes_made_;
};

}  // namespace flow29::proto
