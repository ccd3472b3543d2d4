// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/node.hpp>
#include "node/announcer.hpp"
#include "node/ingest.hpp"
#include "node/inviter.hpp"
#include "node/neighbourhood.hpp"
#include "node/services.hpp"

namespace flow29::node {

/// One publication: hash, keep, invite, wait until enough others hold every extent and the
/// descriptor durably, tell the holders of each other.
class Publisher : public std::enable_shared_from_this<Publisher> {
  public:
    using OwnRecord = std::function<proto::NodeRecord()>;

    Publisher(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
              Neighbourhood& neighbourhood, proto::NodeTable& table, Announcer& announcer,
              OwnRecord own_record);

    [[nodiscard]] asio::awaitable<Result<PublishResult>> run(PublishRequest request,
                                                             ProgressFn progress);

    /// A node says that it holds (or could not get) items.
    void on_stored(const NodeId& node, const proto::Stored& stored);
    void on_node_changed(const NodeId& node);

  private:
    [[nodiscard]] asio::awaitable<Result<core::Descriptor>> ingest(const PublishRequest& request,
                                                                   int fd);
    [[nodiscard]] asio::awaitable<Result<void>> keep(const PublishRequest& request);
    [[nodiscard]] asio::awaitable<void> place(const PublishRequest& request);
    [[nodiscard]] asio::awaitable<void> explore_keys(std::shared_ptr<Publisher> self);
    [[nodiscard]] asio::awaitable<void> explore_key(std::shared_ptr<Publisher> self, DhtKey key);
    [[nodiscard]] bool all_stuck(TimePoint now) const;
    void tell_holders();
    [[nodiscard]] Copies copies() const;
    void report(Stage stage, ByteCount done, ByteCount total);

    Services services_;
    const Settings& settings_;      // owned by the engine
    Tasks& tasks_;                  // owned by the engine
    PeerBook& peers_;               // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
    proto::NodeTable& table_;       // owned by the engine
    Announcer& announcer_;          // owned by the engine
    OwnRecord own_record_;
    Inviter inviter_;
    net::Signal changed_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // guards callbacks of the inviter
    ProgressFn progress_;
    core::Descriptor descriptor_;
    RootHash root_;
    proto::Lease lease_;
    std::vector<proto::ItemId> items_;  // the descriptor, then distinct extents
    std::unique_ptr<proto::CopyPlanner> planner_;
    std::size_t exploring_ = 0;
    bool explored_ = false;
};

}  // namespace flow29::node
