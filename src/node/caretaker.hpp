// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <set>
#include <unordered_map>

#include "node/finder.hpp"
#include "node/inviter.hpp"
#include "node/keeper.hpp"
#include "node/kept_sync.hpp"
#include "node/neighbourhood.hpp"
#include "node/peer_book.hpp"
#include "node/placer.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"
#include "node/terms.hpp"
#include "proto/copy_planner.hpp"

namespace flow29::node {

/// Watches over the items that this node holds: knows who else holds them, and has copies made
/// again when too few are left. What it decides is in proto::CopyPlanner; this feeds it.
class Caretaker {
  public:
    using OwnRecord = std::function<proto::NodeRecord()>;

    Caretaker(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
              Neighbourhood& neighbourhood, Finder& finder, proto::NodeTable& table,
              OwnRecord own_record);

    /// Takes up what the store has. Once, before run.
    [[nodiscard]] asio::awaitable<void> load();
    /// Watches and repairs until the tasks stop.
    [[nodiscard]] asio::awaitable<void> run();
    /// Makes `run` look again now, for instance because the tasks stop.
    void wake();

    /// Items that this node now holds under a lease. `confirmed`: others that said just now that
    /// they keep them.
    [[nodiscard]] asio::awaitable<void> take_up(RootHash root, std::vector<proto::ItemId> items,
                                                std::vector<store::KnownHolder> confirmed);
    /// These are no longer held here: they are no longer watched.
    void give_up(const std::vector<proto::ItemId>& items);
    /// The leases of an object changed, or one ended: of its items, those that none keeps any more
    /// are given up (and returned), and of the others as many copies are wanted as those say that
    /// are left.
    [[nodiscard]] asio::awaitable<std::vector<proto::ItemId>> refresh(RootHash root);
    /// Objects of which a lease has ended since they were looked at. O(objects).
    [[nodiscard]] std::vector<RootHash> ended(WallTime now) const;
    /// Others that are believed to keep something of an object. O(extents).
    [[nodiscard]] std::set<NodeId> holders_of(const RootHash& root) const;

    /// Adds everything kept here, with who else is known to keep it.
    void hand_over(Placer& placer) const;
    /// The descriptor of an object that has this item; null when none is cared for here.
    [[nodiscard]] const core::Descriptor* descriptor_with(const proto::ItemId& item) const;
    /// The node could not prove an item that it was believed to keep. What it still says it keeps
    /// decides: an honest loss is a loss of these items. Who claims on is not counted any more; and
    /// who `answered` wrongly, instead of not at all, lies.
    [[nodiscard]] asio::awaitable<void> on_audit_failed(NodeId node, proto::ItemId item,
                                                        bool answered);
    /// The lease under which an object is kept here, if there is one.
    [[nodiscard]] std::optional<proto::Lease> lease_of(const RootHash& root) const;

    void on_node_changed(const NodeId& node);
    /// Somebody may be asked again who could not be.
    void on_candidates_changed();
    void on_stored(const NodeId& node, const proto::Stored& stored);
    /// What a node at `namer` says of who keeps what. Where it may not send this node
    /// (proto::DialRules), nobody is dialled for it, and no such address is remembered.
    void on_holder_table(const proto::HolderTable& table, const core::Endpoint& namer);

    [[nodiscard]] const proto::CopyPlanner& planner() const { return planner_; }
    [[nodiscard]] KeptSync& sync() { return sync_; }

  private:
    struct Care {
        std::optional<proto::Lease> lease;
        core::Descriptor descriptor;
        WallTime next_end;      // when the first of its leases ends that are live
        unsigned revision = 0;  // how often it was taken up
    };
    struct ToConfirm {
        std::set<proto::ItemId> items;
        std::optional<Named> named;  // the last that said so; nothing: known by itself
    };
    struct Reading {
        std::optional<Care> care;  // none: no object, or no live lease
        std::vector<std::optional<Terms>> terms;
        std::vector<store::KnownHolder> holders;
    };

    /// On a worker.
    [[nodiscard]] Reading read(const RootHash& root, const std::vector<proto::ItemId>& items,
                               WallTime wall_now) const;
    /// Has the planner want what the terms say; the items that have none.
    std::vector<proto::ItemId> apply(const RootHash& root, const std::vector<proto::ItemId>& items,
                                     const std::vector<std::optional<Terms>>& terms);

    /// Cares for these from now on; who was known to keep them, to be confirmed.
    [[nodiscard]] asio::awaitable<std::vector<store::KnownHolder>> adopt(
        RootHash root, std::vector<proto::ItemId> items);
    [[nodiscard]] asio::awaitable<void> expect_again(std::vector<store::KnownHolder> holders);
    [[nodiscard]] asio::awaitable<void> confirm(NodeId node, std::vector<proto::ItemId> items,
                                                std::optional<Named> named);
    /// For this node's holder tables, which outlive a restart.
    void remember_holder(const NodeId& node, const std::vector<proto::ItemId>& items);
    void forget_holder(const NodeId& node, const std::vector<proto::ItemId>& items);
    void confirm_later(const NodeId& node, const std::vector<proto::ItemId>& items,
                       std::optional<Named> named = std::nullopt);
    void on_learned(const NodeId& node, const std::vector<proto::ItemId>& kept,
                    const std::vector<proto::ItemId>& lost);
    void start_confirmations();
    [[nodiscard]] bool hearing_others() const;
    void expire_nodes();
    [[nodiscard]] asio::awaitable<void> find_candidates(DhtKey key);

    Services services_;
    const Settings& settings_;      // owned by the engine
    Tasks& tasks_;                  // owned by the engine
    PeerBook& peers_;               // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
    Finder& finder_;                // owned by the engine
    proto::NodeTable& table_;       // owned by the engine
    OwnRecord own_record_;
    proto::CopyPlanner planner_;
    KeptSync sync_;
    Inviter inviter_;
    net::Signal changed_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // guards callbacks of the inviter
    std::unordered_map<RootHash, Care> care_;
    std::map<NodeId, ToConfirm> to_confirm_;
    std::set<NodeId> confirming_;
    TimePoint confirm_until_{};
    unsigned searching_ = 0;
};

}  // namespace flow29::node
