// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/node.hpp>
#include "node/announcer.hpp"
#include "node/auditor.hpp"
#include "node/blocker.hpp"
#include "node/caretaker.hpp"
#include "node/fetcher.hpp"
#include "node/finder.hpp"
#include "node/hinter.hpp"
#include "node/keeper.hpp"
#include "node/lease_watch.hpp"
#include "node/locator.hpp"
#include "node/loose_mark.hpp"
#include "node/neighbourhood.hpp"
#include "node/own_addresses.hpp"
#include "node/peer_book.hpp"
#include "node/pins.hpp"
#include "node/placements.hpp"
#include "node/reach_check.hpp"
#include "node/reporter.hpp"
#include "node/server.hpp"
#include "node/services.hpp"
#include "node/survey.hpp"
#include "node/tasks.hpp"
#include "node/transfers.hpp"
#include "node/trimmer.hpp"
#include "node/verifier.hpp"

namespace flow29::node {

/// One node, whatever it stands on: the parts above wired to each other and to the services. It
/// decides nothing. On the executor's thread only.
class Engine : public net::PeerHandler {
  public:
    Engine(Services services, Settings settings);
    ~Engine() override;

    /// Begins to listen, join, watch and announce.
    void start();
    /// Ends all operations and connections; afterwards nothing of it runs any more.
    [[nodiscard]] asio::awaitable<void> stop();

    [[nodiscard]] Placements& placements() { return placements_; }
    [[nodiscard]] Transfers& transfers() { return transfers_; }
    [[nodiscard]] Fetcher& fetcher() { return fetcher_; }
    [[nodiscard]] Survey& survey() { return survey_; }
    [[nodiscard]] Locator& locator() { return locator_; }
    [[nodiscard]] Pins& pins() { return pins_; }
    [[nodiscard]] Blocker& blocker() { return blocker_; }
    [[nodiscard]] Verifier& verifier() { return verifier_; }
    [[nodiscard]] asio::awaitable<Result<Withdrawal>> withdraw(RootHash root, ProgressFn progress);
    [[nodiscard]] asio::awaitable<Result<RateLimits>> limit(RateLimitsChange change);
    [[nodiscard]] const RateLimits& limits() const { return limits_; }
    [[nodiscard]] const Keeper& keeper() const { return keeper_; }
    [[nodiscard]] Tasks& tasks() { return tasks_; }
    [[nodiscard]] Neighbourhood& neighbourhood() { return neighbourhood_; }
    [[nodiscard]] const PeerBook& peers() const { return peers_; }
    [[nodiscard]] const Caretaker& caretaker() const { return caretaker_; }
    [[nodiscard]] const LeaseWatch& leases() const { return leases_; }
    [[nodiscard]] const proto::NodeTable& table() const { return table_; }
    [[nodiscard]] const Hinter& hinter() const { return hinter_; }

    [[nodiscard]] Reporter& reporter() { return reporter_; }
    /// What the gateway was asked for, and what it gave: others dial `external` then.
    void on_mapping(PortMapping mapping, std::optional<core::Endpoint> external);
    /// A node of the swarm called from this address on the LAN.
    void on_heard(const core::Endpoint& node);
    [[nodiscard]] asio::awaitable<Status> status();

    // net::PeerHandler
    [[nodiscard]] proto::NodeRecord local_record() override;
    void on_peer(net::PeerPtr peer) override;
    void on_peer_closed(net::PeerPtr peer, Error reason) override;
    [[nodiscard]] asio::awaitable<Result<net::Reply>> on_request(net::PeerPtr peer,
                                                                 proto::Message request) override;
    void on_notification(net::PeerPtr peer, proto::Message message) override;
    void on_observed_address(const net::PeerPtr& peer, const core::Endpoint& observed) override;

  private:
    [[nodiscard]] std::vector<core::Endpoint> announced_addresses() const;
    void set_storing(bool storing);
    [[nodiscard]] bool may_be_chosen() const;
    void on_reach();
    void hear_of_addresses(const net::Peer& peer);
    void remember(const net::Peer& peer);
    [[nodiscard]] asio::awaitable<void> meet(core::Endpoint node);
    void apply(const RateLimitsChange& change);
    [[nodiscard]] asio::awaitable<bool> make_room();
    void on_node_changed(const NodeId& node);
    void on_room(const NodeId& node);
    void on_kept(const Kept& kept);
    void on_damaged(const ExtentHash& extent);
    [[nodiscard]] asio::awaitable<void> take_up_kept(Kept kept);
    [[nodiscard]] asio::awaitable<void> announce_stored();
    [[nodiscard]] asio::awaitable<void> announce_self();

    Services services_;
    Settings settings_;
    RateLimits limits_;
    Tasks tasks_;
    proto::NodeTable table_;
    PeerBook peers_;
    Neighbourhood neighbourhood_;
    Finder finder_;
    Announcer announcer_;
    proto::PullBudget pull_budget_;
    LooseMark loose_;
    Keeper keeper_;
    Caretaker caretaker_;
    Hinter hinter_;
    Auditor auditor_;
    Transfers transfers_;
    Fetcher fetcher_;
    Survey survey_;
    Locator locator_;
    Placements placements_;
    LeaseWatch leases_;
    Trimmer trimmer_;
    Blocker blocker_;
    Pins pins_;
    Verifier verifier_;
    Reporter reporter_;
    Server server_;
    ReachCheck reach_;
    PortMapping mapping_;
    OwnAddresses addresses_;
    std::optional<proto::NodeRecord> record_;
    std::uint64_t last_sequence_ = 0;  // of the records made
    bool may_store_;                   // as it was set up
    WallTime started_wall_;
};

}  // namespace flow29::node
