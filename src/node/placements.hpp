// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <flow29/node.hpp>
#include "node/announcer.hpp"
#include "node/caretaker.hpp"
#include "node/loose_mark.hpp"
#include "node/part_pusher.hpp"
#include "node/placer.hpp"
#include "node/services.hpp"
#include "node/survey.hpp"
#include "node/transfers.hpp"

namespace flow29::node {

class Publisher;

/// What a user asks for that makes others take copies: publishing, repairing, leaving. Each is one
/// Placer with its own idea of what is to be placed.
class Placements {
  public:
    struct Events {
        /// Makes this node take, or no longer take, what others ask it to hold.
        std::function<void(bool storing)> set_storing;
        /// Frees what nothing keeps any more; false when there was nothing.
        std::function<asio::awaitable<bool>()> make_room;
        std::function<void()> on_published;
        /// A publication had a lease that takes the place of an earlier one.
        std::function<void(const proto::Lease&)> on_lease;
        /// What was published here is so no more, and its holders are told.
        std::function<asio::awaitable<Result<Withdrawal>>(RootHash)> withdraw;
        /// A publication failed: what it left in the store is in no object.
        std::function<void()> on_failed;
    };

    Placements(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
               Neighbourhood& neighbourhood, proto::NodeTable& table, Announcer& announcer,
               Caretaker& caretaker, Survey& survey, Transfers& transfers, LooseMark& loose,
               Placer::OwnRecord own_record, Events events)
        : services_(services),
          settings_(settings),
          tasks_(tasks),
          peers_(peers),
          neighbourhood_(neighbourhood),
          table_(table),
          announcer_(announcer),
          caretaker_(caretaker),
          survey_(survey),
          transfers_(transfers),
          loose_(loose),
          own_record_(std::move(own_record)),
          events_(std::move(events)) {}

    [[nodiscard]] asio::awaitable<Result<PublishResult>> publish(PublishRequest request,
                                                                 ProgressFn progress);
    /// Makes the copies that an object lacks now, whoever keeps it.
    [[nodiscard]] asio::awaitable<Result<Health>> repair(Link link, Duration timeout,
                                                         ProgressFn progress);
    /// Hands over what is kept here, then says goodbye.
    [[nodiscard]] asio::awaitable<Result<Departure>> leave(LeaveRequest request,
                                                           ProgressFn progress);
    /// Publications under way: their extents are in no object yet.
    [[nodiscard]] std::size_t publishing() const { return publishers_.size(); }

    /// The descriptor of a part of what is being published.
    [[nodiscard]] std::optional<core::Descriptor> part(const RootHash& root) const;
    [[nodiscard]] bool leaving() const { return leaving_; }

    void on_stored(const NodeId& node, const proto::Stored& stored);
    void on_pulled(const NodeId& node, const ExtentHash& extent);
    void on_sent(const NodeId& node, const ExtentHash& extent, ByteCount bytes);
    void on_node_changed(const NodeId& node);
    void on_candidates_changed();

    /// Who was asked to keep it by a publication that was stopped, and may be at it still.
    [[nodiscard]] std::set<NodeId> asked(const RootHash& root) const;
    void forget_asked(const RootHash& root) { stopped_.erase(root); }

  private:
    [[nodiscard]] std::shared_ptr<Placer> start_placer(
        Inviter::Purpose purpose = Inviter::Purpose::publication);
    [[nodiscard]] std::shared_ptr<PartPusher> start_pusher(std::shared_ptr<Transfer> transfer);
    [[nodiscard]] asio::awaitable<Result<PublishResult>> publish_once(
        PublishRequest request, ProgressFn progress, std::shared_ptr<Transfer> transfer);

    Services services_;
    const Settings& settings_;      // owned by the engine
    Tasks& tasks_;                  // owned by the engine
    PeerBook& peers_;               // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
    proto::NodeTable& table_;       // owned by the engine
    Announcer& announcer_;          // owned by the engine
    Caretaker& caretaker_;          // owned by the engine
    Survey& survey_;                // owned by the engine
    Transfers& transfers_;          // owned by the engine
    LooseMark& loose_;              // owned by the engine
    Placer::OwnRecord own_record_;
    Events events_;
    std::vector<std::shared_ptr<Placer>> placers_;      // at work, in order of their start
    std::vector<std::shared_ptr<PartPusher>> pushers_;  // one for each publication
    std::map<RootHash, std::set<NodeId>> stopped_;      // publications; who was asked
    std::vector<Publisher*> publishers_;                // of those under way
    bool leaving_ = false;
};

}  // namespace flow29::node
