// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/announce_scheduler.hpp"

namespace flow29::node {

/// Puts this node's provider records into the DHT when the scheduler says so.
class Announcer {
  public:
    /// Where others can reach this node, one address of each family; none until known.
    using OwnAddresses = std::function<std::vector<core::Endpoint>()>;

    Announcer(Services services, Tasks& tasks, OwnAddresses own_addresses);

    /// The descriptor and these items of an object are held here.
    void add(const RootHash& root, const core::Descriptor& descriptor,
             const std::vector<proto::ItemId>& items);
    void remove(const std::vector<proto::ItemId>& items);
    /// Descriptors, and extents that are single chunks, that are announced.
    [[nodiscard]] std::vector<proto::ItemId> summarised() const;
    void on_network_size(std::size_t nodes);

    /// Announces until the tasks stop.
    [[nodiscard]] asio::awaitable<void> run();
    /// Makes `run` look again now, for instance because the tasks stop.
    void wake() { changed_.notify_all(); }
    /// Waits until nothing is due any more, or the deadline.
    [[nodiscard]] asio::awaitable<bool> wait_announced(TimePoint deadline);

    [[nodiscard]] proto::AnnounceScheduler::Forecast forecast() const;

  private:
    [[nodiscard]] asio::awaitable<void> put(proto::ItemId item,
                                            std::vector<core::Endpoint> addresses);
    [[nodiscard]] asio::awaitable<bool> put_at(proto::ItemId item, core::Endpoint address);

    Services services_;
    Tasks& tasks_;  // owned by the engine
    OwnAddresses own_addresses_;
    proto::AnnounceScheduler scheduler_;
    std::unordered_map<proto::ItemId, proto::ObjectSummary> summaries_;
    net::Signal changed_;
    std::size_t families_ = 0;  // of the addresses, at most until now
    std::size_t in_flight_ = 0;
    bool drained_ = true;
};

}  // namespace flow29::node
