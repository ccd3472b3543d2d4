// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <set>

#include "node/announcer.hpp"
#include "node/caretaker.hpp"
#include "node/loose_mark.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"

namespace flow29::node {

/// Carries out what leases say: has what a lease no longer keeps given up and collected, and tells
/// those whom a new one, or a withdrawal, concerns.
///
/// Rules:
/// 1. What no live lease keeps is given up at the next look, at most `look_period` after its end,
///    and collected; at once when a withdrawal comes, or when room is wanted.
/// 2. A lease that is news here is told to whoever is believed to keep something of its object:
///    now, when they appear, and at each look until they have answered. Whoever takes it does the
///    same.
///    Rationale: a lease is signed, so anybody may carry it, and its publisher need not be there.
/// 3. Withdrawals are told to whoever appears, and to whoever says that it took in something of an
///    object that was withdrawn.
///    Rationale: a node that was away must not bring it back.
/// 4. A lease of this node's own is signed anew, for as long again, when less than half of it is
///    left: of what was published without an end; and of what is pinned and all here, one of its
///    own when the widest lease has less than half of a default life left.
/// 5. What was fetched here, and is kept for nobody, stays until its room is needed.
///    Rationale: it is served to others; and where it lies in a file of its own, it takes no room.
/// 6. Nothing is collected while something is being published.
///    Rationale: its extents are in no object yet.
class LeaseWatch {
  public:
    struct Events {
        std::function<std::size_t()> publishing;  ///< how many publications are under way
        std::function<void()> on_freed;           ///< something was collected
        /// Extents of parts, which are in no object yet either.
        std::function<std::unordered_set<ExtentHash>()> awaited;
        std::function<std::shared_ptr<const std::set<RootHash>>()> blocked;
        /// Gives up the parts of which nothing came: whether there is something to collect.
        std::function<bool()> give_up_parts;
    };

    LeaseWatch(Services services, Tasks& tasks, PeerBook& peers, Caretaker& caretaker,
               Announcer& announcer, LooseMark& loose, Events events)
        : services_(services),
          tasks_(tasks),
          peers_(peers),
          caretaker_(caretaker),
          announcer_(announcer),
          loose_(loose),
          events_(std::move(events)),
          collected_(services.runtime) {}

    /// Looks once a minute until the tasks stop.
    [[nodiscard]] asio::awaitable<void> run();
    /// Something was published or pinned, or not any more: leases may be due.
    void check_renewals() { next_renewal_ = WallTime{}; }
    /// A lease is new here, or withdrawn.
    void on_lease(const proto::Lease& lease);
    /// A node appeared.
    void on_node_alive(const NodeId& node);
    /// A node says that it keeps something now.
    void on_stored(const NodeId& node, const proto::Stored& stored);
    /// The same as on_lease; returns when what it ended is collected.
    [[nodiscard]] asio::awaitable<void> take_in(proto::Lease lease);
    /// Frees at once what can be freed, what was fetched included; false when nothing could be.
    [[nodiscard]] asio::awaitable<bool> make_room();
    /// Frees what no lease, pin or publication keeps and was not just fetched, once nothing is
    /// being published.
    [[nodiscard]] asio::awaitable<void> collect();

    /// Leases that are remembered in order to tell others of them.
    [[nodiscard]] std::size_t news() const { return news_.size(); }
    /// How many of them are being told just now.
    [[nodiscard]] std::size_t telling() const { return telling_.size(); }

  private:
    struct News {
        proto::Lease lease;
        std::set<NodeId> concerned;
        std::set<NodeId> told;
    };
    using NewsKey = std::pair<RootHash, PublicKey>;

    struct Renewals {
        std::vector<proto::Lease> due;  // unsigned
        WallTime next = WallTime::max();
    };
    [[nodiscard]] static Renewals renewals(store::Store& store, const PublicKey& self,
                                           WallTime wall_now);
    [[nodiscard]] asio::awaitable<void> renew();
    [[nodiscard]] asio::awaitable<void> look();
    [[nodiscard]] asio::awaitable<bool> has_remains();
    [[nodiscard]] asio::awaitable<bool> give_up_ended();
    [[nodiscard]] asio::awaitable<void> refresh(RootHash root);
    [[nodiscard]] asio::awaitable<void> end_publication(RootHash root);
    [[nodiscard]] asio::awaitable<ByteCount> collect_now(bool fetched_too);
    void spread(NewsKey key);
    [[nodiscard]] asio::awaitable<void> tell(NodeId node, NewsKey key);
    [[nodiscard]] asio::awaitable<void> tell_withdrawals(NodeId node);
    [[nodiscard]] asio::awaitable<void> tell_withdrawals_of(NodeId node, RootHash root);

    Services services_;
    Tasks& tasks_;          // owned by the engine
    PeerBook& peers_;       // owned by the engine
    Caretaker& caretaker_;  // owned by the engine
    Announcer& announcer_;  // owned by the engine
    LooseMark& loose_;      // owned by the engine
    Events events_;
    WallTime next_renewal_{};
    std::map<NewsKey, News> news_;
    std::set<std::pair<NodeId, NewsKey>> telling_;
    net::Signal collected_;
    std::uint64_t collections_wanted_ = 0;
    std::uint64_t collections_done_ = 0;
    bool collecting_ = false;
    TimePoint next_room_{};  // before that, looking for room again is of no use
};

}  // namespace flow29::node
