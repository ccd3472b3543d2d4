// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/token_bucket.hpp"
#include "node/download.hpp"
#include "node/neighbourhood.hpp"
#include "node/peer_book.hpp"
#include "node/quotas.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"

namespace flow29::node {

/// Items that became durable here.
struct Kept {
    RootHash root;
    std::vector<proto::ItemId> items;
    bool invited = false;  ///< by another node, under a lease that is not this node's
};

/// Accepts invitations: checks room and lease, pulls from all sources, verifies, syncs, and tells
/// everyone concerned. The one way in which bytes of others come to this node.
class Keeper {
  public:
    struct Events {
        std::function<void(const Kept& kept)> on_kept;
        /// Frees what nothing keeps any more; false when there was nothing.
        std::function<asio::awaitable<bool>()> make_room;
    };

    Keeper(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
           Neighbourhood& neighbourhood, proto::PullBudget& budget, Events events)
        : services_(services),
          settings_(settings),
          tasks_(tasks),
          peers_(peers),
          neighbourhood_(neighbourhood),
          budget_(budget),
          events_(std::move(events)),
          memory_free_(services.runtime),
          quotas_(services, settings) {}

    [[nodiscard]] asio::awaitable<proto::InviteReply> on_invite(net::PeerPtr from,
                                                                proto::Invite invite);
    /// What was kept here is damaged: pulls it again from those that are known to keep it.
    void heal(proto::Lease lease, std::vector<proto::Invite::Item> items,
              std::vector<proto::NodeRecord> sources);
    /// Whoever invited this node wants these no longer held here; what is durable stays.
    void on_uninvite(const NodeId& node, const proto::Uninvite& uninvite);
    /// Another node has what a pull here may want.
    void on_stored(const NodeId& node, const proto::Stored& stored);

    /// Something was freed: whoever was turned away for want of room hears of it, once.
    void tell_of_room();

    [[nodiscard]] const Quotas& quotas() const { return quotas_; }
    [[nodiscard]] std::size_t coming() const { return coming_.size(); }
    [[nodiscard]] bool is_coming(const proto::ItemId& item) const { return coming_.contains(item); }
    /// So far, what is under way included.
    [[nodiscard]] ByteCount pulled() const;
    /// Of these, what replaced lost copies and has come to its end.
    [[nodiscard]] ByteCount repaired() const { return repaired_; }

  private:
    /// For the first ones of the items that were asked for, as many as fit together.
    struct Room {
        std::unique_ptr<store::Reservation> reserved;
        std::size_t items = 0;
    };
    struct Job {
        RootHash root;
        proto::Lease lease;
        std::vector<proto::ItemId> items;
        std::vector<proto::NodeRecord> sources;
        net::PeerPtr inviter;              // null when nobody asked
        std::vector<proto::ItemId> group;  // being pulled
        std::unordered_set<proto::ItemId> unwanted;
        std::stop_source stop;  // of the group that is being pulled
        std::unique_ptr<store::Reservation> room;
        std::uint64_t bytes = 0;
        std::optional<Quotas::Asker> asker;
        bool is_repair = false;
    };
    struct Known {
        bool superseded = false;
        bool leased = false;  // by this publisher: what is here is in its share
        std::vector<bool> owned;
        Quotas::Left left;
    };

    [[nodiscard]] asio::awaitable<Room> reserve(std::vector<proto::Invite::Item> items);
    /// On a worker.
    [[nodiscard]] static Room reserve_most(store::Store& store,
                                           const std::vector<proto::Invite::Item>& items);
    [[nodiscard]] Known look(const proto::Invite& invite, const Quotas::Asker& asker,
                             WallTime wall_now) const;
    [[nodiscard]] bool may_take_repair(std::uint64_t bytes) const;
    void begin(const Job& job);
    void end(const Job& job);
    [[nodiscard]] asio::awaitable<void> pull(std::shared_ptr<Job> job);
    [[nodiscard]] asio::awaitable<Result<core::Descriptor>> get_descriptor(
        std::shared_ptr<Job> job);
    [[nodiscard]] asio::awaitable<Result<void>> pull_group(
        std::shared_ptr<Job> job, std::shared_ptr<const core::Descriptor> descriptor,
        std::vector<ExtentIndex> extents);
    [[nodiscard]] asio::awaitable<void> add_sources(std::shared_ptr<Job> job,
                                                    std::shared_ptr<Download> download);
    /// Reports of this job go to the peer as well: it invited for the same, and would invite
    /// somebody else if it never heard that the copy is made.
    void tell_too(Job& job, const net::PeerPtr& peer);
    void report(const Job& job, std::vector<proto::ItemId> stored,
                std::vector<proto::ItemId> failed);

    Services services_;
    const Settings& settings_;      // owned by the engine
    Tasks& tasks_;                  // owned by the engine
    PeerBook& peers_;               // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
    proto::PullBudget& budget_;     // owned by the engine
    Events events_;
    net::Signal memory_free_;
    std::unordered_map<proto::ItemId, std::shared_ptr<Job>> coming_;
    std::vector<std::shared_ptr<Job>> jobs_;            // in order of their start
    std::vector<std::shared_ptr<Download>> downloads_;  // in order of their start
    std::uint64_t memory_used_ = 0;
    std::uint64_t bytes_coming_ = 0;
    std::uint64_t repair_coming_ = 0;
    Quotas quotas_;
    std::set<NodeId> turned_away_;  // since the last time that there was room
    ByteCount pulled_;
    ByteCount repaired_;
};

}  // namespace flow29::node
