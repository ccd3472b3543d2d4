// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/node.hpp>
#include "node/announcer.hpp"
#include "node/auditor.hpp"
#include "node/caretaker.hpp"
#include "node/fetcher.hpp"
#include "node/finder.hpp"
#include "node/keeper.hpp"
#include "node/neighbourhood.hpp"
#include "node/peer_book.hpp"
#include "node/publisher.hpp"
#include "node/server.hpp"
#include "node/services.hpp"
#include "node/survey.hpp"
#include "node/tasks.hpp"

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

    [[nodiscard]] asio::awaitable<Result<PublishResult>> publish(PublishRequest request,
                                                                 ProgressFn progress);
    [[nodiscard]] Fetcher& fetcher() { return fetcher_; }
    [[nodiscard]] Survey& survey() { return survey_; }
    [[nodiscard]] asio::awaitable<Result<Withdrawal>> withdraw(RootHash root, ProgressFn progress);
    [[nodiscard]] asio::awaitable<Result<bool>> pin(RootHash root, bool pinned);
    [[nodiscard]] asio::awaitable<Result<Health>> repair(Link link, Duration timeout,
                                                         ProgressFn progress);
    [[nodiscard]] asio::awaitable<Result<Departure>> leave(LeaveRequest request,
                                                           ProgressFn progress);
    [[nodiscard]] Tasks& tasks() { return tasks_; }
    [[nodiscard]] Neighbourhood& neighbourhood() { return neighbourhood_; }
    [[nodiscard]] const Caretaker& caretaker() const { return caretaker_; }
    [[nodiscard]] const proto::NodeTable& table() const { return table_; }

    [[nodiscard]] asio::awaitable<Status> status();
    [[nodiscard]] std::vector<PeerInfo> peers() const;
    [[nodiscard]] asio::awaitable<std::vector<ObjectEntry>> objects();

    // net::PeerHandler
    [[nodiscard]] proto::NodeRecord local_record() override;
    void on_peer(net::PeerPtr peer) override;
    void on_peer_closed(net::PeerPtr peer, Error reason) override;
    [[nodiscard]] asio::awaitable<Result<net::Reply>> on_request(net::PeerPtr peer,
                                                                 proto::Message request) override;
    void on_notification(net::PeerPtr peer, proto::Message message) override;
    void on_observed_address(const net::PeerPtr& peer, const core::Endpoint& observed) override;

  private:
    [[nodiscard]] std::optional<core::Endpoint> own_address() const;
    [[nodiscard]] std::shared_ptr<Placer> start_placer();
    void on_node_changed(const NodeId& node);
    void on_kept(const Kept& kept);
    void on_damaged(const ExtentHash& extent);
    void on_lease(const proto::Lease& lease);
    [[nodiscard]] asio::awaitable<void> take_up_kept(Kept kept);
    [[nodiscard]] asio::awaitable<void> tell_withdrawals(NodeId node);
    [[nodiscard]] asio::awaitable<void> collect();
    [[nodiscard]] asio::awaitable<void> announce_stored();
    [[nodiscard]] asio::awaitable<void> announce_self();

    Services services_;
    Settings settings_;
    Tasks tasks_;
    proto::NodeTable table_;
    PeerBook peers_;
    Neighbourhood neighbourhood_;
    Finder finder_;
    Announcer announcer_;
    Keeper keeper_;
    Caretaker caretaker_;
    Auditor auditor_;
    Fetcher fetcher_;
    Survey survey_;
    Server server_;
    std::vector<std::shared_ptr<Placer>> placers_;  // at work, in order of their start
    std::size_t publishing_ = 0;
    bool leaving_ = false;
    std::optional<core::Endpoint> observed_;
    std::optional<proto::NodeRecord> record_;
    std::vector<std::chrono::milliseconds> clock_skews_;
    WallTime started_wall_;
    TimePoint started_;
};

}  // namespace flow29::node
