// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <stop_token>

#include "node/inviter.hpp"
#include "node/neighbourhood.hpp"
#include "node/services.hpp"

namespace flow29::node {

/// Has other nodes take items up until each has its copies there, this node's own not counted.
/// Publishing and leaving are both this.
class Placer : public std::enable_shared_from_this<Placer> {
  public:
    using OwnRecord = std::function<proto::NodeRecord()>;
    /// Called at every step.
    using ReportFn = std::function<void(const proto::CopyPlanner::Counts& counts)>;
    /// Called when somebody who was asked was sent something of an item.
    using SentFn = std::function<void(const NodeId& node, ByteCount bytes)>;

    Placer(Services services, Tasks& tasks, PeerBook& peers, Neighbourhood& neighbourhood,
           proto::NodeTable& table, OwnRecord own_record,
           Inviter::Purpose purpose = Inviter::Purpose::publication);

    void set_on_sent(SentFn on_sent) { on_sent_ = std::move(on_sent); }
    /// Before run. An item that is there already stays as it is.
    void add(const proto::ItemId& item, const RootHash& root, ByteCount length, unsigned copies);
    /// `node` is known to keep the item.
    void on_copy(const proto::ItemId& item, const NodeId& node);

    /// Ends when all have their copies, when nothing more can be done, when nothing moved for
    /// `idle_timeout`, or when stopped. While `is_paused` says so, nobody more is invited and no
    /// time counts; it may be empty. `lease_of` says under which lease an object is to be held.
    [[nodiscard]] asio::awaitable<void> run(Inviter::LeaseOf lease_of, Duration idle_timeout,
                                            std::stop_token stop, ReportFn report,
                                            std::function<bool()> is_paused = {});

    /// A node says that it holds (or could not get) items. Parts are no copies: they count for a
    /// placer of parts, and nothing else does.
    void on_stored(const NodeId& node, const proto::Stored& stored);
    /// It pulls from here.
    void on_pulled(const NodeId& node, const ExtentHash& extent);
    /// It was sent so much of an extent. Whether this placer has that placed.
    bool on_sent(const NodeId& node, const ExtentHash& extent, ByteCount bytes);
    void on_node_changed(const NodeId& node);
    void on_candidates_changed();

    [[nodiscard]] std::size_t over_quota() const { return inviter_.over_quota(); }
    [[nodiscard]] const std::set<NodeId>& asked() const { return inviter_.asked(); }
    [[nodiscard]] const proto::CopyPlanner& planner() const { return planner_; }
    /// In the order in which they were added.
    [[nodiscard]] const std::vector<proto::ItemId>& items() const { return items_; }

  private:
    [[nodiscard]] asio::awaitable<void> explore_keys(std::shared_ptr<Placer> self);
    [[nodiscard]] asio::awaitable<void> explore_key(std::shared_ptr<Placer> self, DhtKey key);
    [[nodiscard]] bool all_stuck(TimePoint now) const;
    void note_silent();
    void on_sign_of_life(const NodeId& node);

    Services services_;
    Tasks& tasks_;                  // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
    proto::NodeTable& table_;       // owned by the engine
    OwnRecord own_record_;
    SentFn on_sent_;
    bool is_part_;
    Inviter inviter_;
    net::Signal changed_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // guards callbacks of the inviter
    proto::CopyPlanner planner_;
    std::vector<proto::ItemId> items_;
    std::map<NodeId, TimePoint> signs_;  // of life, the last one passed on
    std::size_t exploring_ = 0;
    bool explored_ = false;
};

}  // namespace flow29::node
