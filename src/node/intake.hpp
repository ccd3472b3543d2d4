// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "node/download.hpp"
#include "node/extent_assembler.hpp"
#include "node/neighbourhood.hpp"
#include "node/peer_book.hpp"
#include "node/quotas.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/pull_budget.hpp"

namespace flow29::node {

/// Items that became durable here.
struct Kept {
    RootHash root;
    std::vector<proto::ItemId> items;
    bool invited = false;  ///< by another node, under a lease that is not this node's
};

/// Takes in what one invitation asked for: pulls it from all sources, verifies, syncs, and tells
/// everyone concerned, in batches as it comes. What is whole is written while the rest is pulled.
///
/// Of items that this node leads, the inviter is asked at once. The others come from those that
/// lead there, which say so when they have them; when nothing has moved for `fallback_after`, or
/// none of those who say that they have it gives it, the inviter is asked for one of them, then for
/// two, four…
class Intake : public std::enable_shared_from_this<Intake> {
  public:
    struct Order {
        proto::Lease lease;
        std::vector<proto::NodeRecord> sources;
        net::PeerPtr inviter;  ///< null when nobody asked
        std::optional<Quotas::Asker> asker;
        bool is_repair = false;
        bool is_part = false;  ///< no object is known yet, and nothing is kept under the lease
    };
    struct Events {
        std::function<void(const Kept& kept)> on_kept;
        /// These are on their way no longer: they are here, or will not come. `bytes` of the order
        /// are done with.
        std::function<void(const Intake& intake, const std::vector<proto::ItemId>& items,
                           std::uint64_t bytes)>
            on_settled;
        /// Bytes in memory that this one may use, what it uses now included.
        std::function<ByteCount(const Intake& intake)> memory_max;
        /// Some of it is free again.
        std::function<void()> on_memory_free;
    };

    /// `budget` and `events` outlive this.
    Intake(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
           Neighbourhood& neighbourhood, proto::PullBudget& budget, const Events& events,
           Order order);

    // Before it runs: what it is to take in.

    void add(const proto::Invite::Item& item, bool leads);
    void remove(const proto::Invite::Item& item);
    /// That one pulls some of this already, and is let finish first, as long as it gets on.
    void wait_for(std::shared_ptr<Intake> forerunner);
    /// The room for it, which is given back at the end.
    void set_room(std::unique_ptr<store::Reservation> room) { room_ = std::move(room); }

    /// Something of it was awaited as a part, and no longer is.
    void take_over() { took_over_ = true; }

    /// Until everything came, or will not come. Once only.
    [[nodiscard]] asio::awaitable<void> run();

    /// The inviter wants these no longer; what is durable stays.
    void on_uninvite(const proto::Uninvite& uninvite);
    /// Another node has what this may want.
    void on_stored(const NodeId& node, const proto::Stored& stored);
    /// The peer invited for an item that is on its way already; perhaps the inviter itself, which
    /// was away. Reports go there as well, so that it does not invite somebody else when the copy
    /// is made, and if it wants this node to lead, it is pulled from.
    void join(const net::PeerPtr& peer, const proto::ItemId& item, bool leads);
    /// True while those that this one waits for are at work. To be asked again now and then: it
    /// ends those that have stalled.
    [[nodiscard]] bool is_waiting();
    /// There may be memory now.
    void wake();

    [[nodiscard]] const RootHash& root() const { return order_.lease.root; }
    [[nodiscard]] const net::PeerPtr& inviter() const { return order_.inviter; }
    /// Of whoever invited, when he did: he may come back from elsewhere.
    [[nodiscard]] const std::optional<core::AddressGroup>& group() const { return group_; }
    [[nodiscard]] bool is_repair() const { return order_.is_repair; }
    [[nodiscard]] bool is_part() const { return order_.is_part; }
    [[nodiscard]] bool empty() const { return open_.empty(); }
    /// At its end: whether something may be here that was awaited and that nothing keeps now.
    [[nodiscard]] bool left_over() const { return (took_over_ && fell_short_) || was_refused_; }
    /// Of what is not settled yet, as its inviter named it.
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    [[nodiscard]] const std::optional<Quotas::Asker>& asker() const { return order_.asker; }
    /// In memory now.
    [[nodiscard]] ByteCount memory() const;
    [[nodiscard]] ByteCount fetched() const;

  private:
    /// Whoever waits for this one knows others, and so does their inviter.
    void end_if_stalled();
    [[nodiscard]] std::vector<Named> named_sources() const;
    [[nodiscard]] asio::awaitable<Result<core::Descriptor>> get_descriptor();
    [[nodiscard]] asio::awaitable<Result<core::Descriptor>> ask_descriptor(net::PeerPtr peer);
    [[nodiscard]] asio::awaitable<Result<core::Descriptor>> begin();
    [[nodiscard]] asio::awaitable<void> keep_what_is_here(const core::Descriptor& descriptor);
    [[nodiscard]] std::vector<ExtentIndex> wanted_extents(const core::Descriptor& descriptor) const;
    [[nodiscard]] asio::awaitable<void> pull(core::Descriptor descriptor,
                                             std::vector<ExtentIndex> wanted);
    [[nodiscard]] Download::Options download_options(const core::Layout& layout, ExtentIndex start);
    [[nodiscard]] asio::awaitable<void> write(std::shared_ptr<Intake> self,
                                              ExtentAssembler* assembler);
    [[nodiscard]] asio::awaitable<void> put(std::vector<ExtentAssembler::Whole> batch);
    [[nodiscard]] asio::awaitable<void> add_sources(std::shared_ptr<Intake> self);
    [[nodiscard]] static asio::awaitable<void> find_more(std::weak_ptr<Intake> weak,
                                                         std::vector<ExtentIndex> starved);
    void fall_back(std::vector<ExtentIndex> starved);
    void report(std::vector<proto::ItemId> stored, std::vector<proto::ItemId> failed);
    void settle(const std::vector<proto::ItemId>& items, std::uint64_t bytes);

    Services services_;
    const Settings& settings_;      // owned by the engine
    Tasks& tasks_;                  // owned by the engine
    PeerBook& peers_;               // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
    proto::PullBudget& budget_;     // owned by the engine
    const Events& events_;          // owned by the keeper
    Order order_;
    const std::optional<core::AddressGroup> group_ =
        order_.inviter ? std::optional(order_.inviter->remote().group()) : std::nullopt;
    std::unique_ptr<store::Reservation> room_;
    std::vector<std::shared_ptr<Intake>> forerunners_;
    bool ended_ = false;
    bool took_over_ = false;
    bool fell_short_ = false;   // not all is kept
    bool was_refused_ = false;  // by the store, or for want of a lease
    std::uint64_t bytes_ = 0;
    std::unordered_set<proto::ItemId> open_;   // not settled
    std::unordered_set<proto::ItemId> leads_;  // others have been asked for the rest
    std::unordered_set<proto::ItemId> unwanted_;
    std::unordered_map<proto::ItemId, ExtentIndex> positions_;  // of what is pulled
    std::stop_source stop_;
    std::shared_ptr<Download> download_;  // while there is one
    net::Signal whole_;                   // another extent, or the end
    bool pulled_ = false;                 // nothing more will become whole
    bool written_ = false;
    ByteCount fetched_;
    std::vector<std::pair<NodeId, proto::ItemId>> early_;  // stored by others before that
    std::size_t fallback_ = 1;  // extents to ask the inviter for when nothing moves
};

}  // namespace flow29::node
