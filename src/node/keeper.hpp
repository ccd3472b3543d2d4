// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "node/awaited_parts.hpp"
#include "node/intake.hpp"
#include "node/loose_mark.hpp"
#include "node/neighbourhood.hpp"
#include "node/peer_book.hpp"
#include "node/quotas.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/pull_budget.hpp"

namespace flow29::node {

/// Accepts invitations, if room, lease and quotas allow, and has an Intake carry out each. The one
/// way in which bytes of others come to this node.
class Keeper {
  public:
    struct Events {
        std::function<void(const Kept& kept)> on_kept;
        /// Frees what nothing keeps any more; false when there was nothing.
        std::function<asio::awaitable<bool>()> make_room;
    };

    Keeper(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
           Neighbourhood& neighbourhood, proto::PullBudget& budget, LooseMark& loose,
           Events events);

    [[nodiscard]] asio::awaitable<proto::InviteReply> on_invite(net::PeerPtr from,
                                                                proto::Invite invite);
    /// What was kept here is damaged: pulls it again from those that are known to keep it.
    void heal(proto::Lease lease, std::vector<proto::Invite::Item> items,
              std::vector<proto::NodeRecord> sources);
    /// Whoever invited this node wants these no longer held here; what is durable stays.
    void on_uninvite(const NodeId& node, const proto::Uninvite& uninvite);
    /// Another node has what a pull here may want.
    void on_stored(const NodeId& node, const proto::Stored& stored);

    /// What is not to be collected: of parts whose objects are not known yet, and of what is on its
    /// way, as some of it may be here already and marked in a moment.
    [[nodiscard]] std::unordered_set<ExtentHash> awaited() const;
    /// Gives up the parts of publishers that went away; true when something may be collected now
    /// that was awaited before.
    [[nodiscard]] bool give_up_parts();

    /// Something was freed: whoever was turned away for want of room hears of it, once.
    void tell_of_room();

    [[nodiscard]] const Quotas& quotas() const { return quotas_; }
    [[nodiscard]] std::size_t coming() const { return coming_.size(); }
    /// Nodes that are to be told when there is room.
    [[nodiscard]] std::size_t turned_away() const { return turned_away_.size(); }
    /// Parts left out: what becomes of them is not certain.
    [[nodiscard]] bool is_coming(const proto::ItemId& item) const {
        const auto found = coming_.find(item);
        return found != coming_.end() && !found->second->is_part();
    }
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
    struct Known {
        bool superseded = false;
        bool leased = false;  // by this publisher: what is here is in its share
        std::vector<bool> here;
        std::vector<bool> owned;  // here, and its descriptor as well
        Quotas::Left left;
    };
    /// What is answered for one item.
    struct Verdict {
        proto::InviteAnswer answer = proto::InviteAnswer::refused;
        bool needs_room = false;
    };

    struct Coming {
        std::size_t items = 0;
        std::uint64_t bytes = 0;
    };

    [[nodiscard]] asio::awaitable<Room> reserve(std::vector<proto::Invite::Item> items,
                                                bool makes_room);
    /// On a worker.
    [[nodiscard]] static Room reserve_most(store::Store& store,
                                           const std::vector<proto::Invite::Item>& items);
    [[nodiscard]] Known look(const proto::Invite& invite, const Quotas::Asker& asker,
                             WallTime wall_now) const;
    [[nodiscard]] Verdict judge(const Intake& intake, const proto::Invite::Item& invited,
                                bool is_here, const Quotas::Asker& asker,
                                const Quotas::Left& left) const;
    [[nodiscard]] bool may_take_repair(std::uint64_t bytes) const;
    [[nodiscard]] std::shared_ptr<Intake> make_intake(Intake::Order order);
    /// The lease keeps what is here already, too.
    [[nodiscard]] asio::awaitable<Result<void>> keep_held(proto::Lease lease, Quotas::Asker asker,
                                                          std::vector<proto::ItemId> held);
    /// Whether, with so many bytes more, one network has more on its way here than is left for all
    /// others.
    [[nodiscard]] bool has_its_share(const core::AddressGroup& group, std::uint64_t bytes) const;
    void take_off(const Intake& intake, std::size_t items, std::uint64_t bytes);
    void note_coming(const std::shared_ptr<Intake>& intake, const proto::ItemId& item);
    void forget_coming(const Intake& intake, const proto::ItemId& item);
    void count_in(const Intake& intake, std::uint64_t bytes);
    void count_out(const Intake& intake, std::uint64_t bytes);
    [[nodiscard]] asio::awaitable<void> carry_out(std::shared_ptr<Intake> intake);
    void on_settled(const Intake& intake, const std::vector<proto::ItemId>& items,
                    std::uint64_t bytes);
    [[nodiscard]] ByteCount memory_for(const Intake& intake) const;

    Services services_;
    const Settings& settings_;      // owned by the engine
    Tasks& tasks_;                  // owned by the engine
    PeerBook& peers_;               // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
    proto::PullBudget& budget_;     // owned by the engine
    LooseMark& loose_;              // owned by the engine
    Events events_;
    Intake::Events intake_events_;
    std::unordered_map<proto::ItemId, std::shared_ptr<Intake>> coming_;
    std::vector<std::shared_ptr<Intake>> intakes_;  // in order of their start
    std::uint64_t bytes_coming_ = 0;
    std::map<core::AddressGroup, Coming> coming_from_;  // by who invited; none of nothing
    std::uint64_t repair_coming_ = 0;
    Quotas quotas_;
    AwaitedParts awaited_;
    net::Signal part_ended_;
    std::set<NodeId> turned_away_;  // since the last time that there was room
    ByteCount pulled_;
    ByteCount repaired_;
};

}  // namespace flow29::node
