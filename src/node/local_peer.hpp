// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "net/transport.hpp"
#include "node/server.hpp"

namespace flow29::node {

/// This node, as a holder of what it has: a download asks it like any other, without a network.
class LocalPeer : public net::Peer {
  public:
    LocalPeer(const NodeId& id, Server& server, proto::NodeRecord record)
        : id_(id), server_(server), record_(std::move(record)) {}

    [[nodiscard]] const NodeId& id() const override { return id_; }
    [[nodiscard]] const proto::NodeRecord& record() const override { return record_; }
    [[nodiscard]] const core::Endpoint& remote() const override { return remote_; }
    [[nodiscard]] bool dialled() const override { return false; }
    [[nodiscard]] bool open() const override { return true; }
    [[nodiscard]] net::PeerTraffic traffic() const override { return {}; }
    [[nodiscard]] std::chrono::milliseconds clock_skew() const override { return {}; }

    /// Only for requests that need no connection to answer on: everything but Invite.
    [[nodiscard]] asio::awaitable<Result<net::Reply>> request(proto::Message request,
                                                              Duration) override {
        return server_.answer(nullptr, std::move(request));
    }
    void notify(proto::Message) override {}
    void close(Error) override {}

  private:
    NodeId id_;
    Server& server_;  // owned by the engine
    proto::NodeRecord record_;
    core::Endpoint remote_;
};

}  // namespace flow29::node
