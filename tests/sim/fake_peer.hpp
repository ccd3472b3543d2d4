// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>

#include "sim/swarm.hpp"

namespace flow29::sim {

/// Somebody with a key and no node, who is connected to one of the swarm and answers what a test
/// has him answer, at once.
class FakePeer final : public net::Peer {
  public:
    using Answer = std::function<Result<net::Reply>(const proto::Message& request)>;

    /// `number` makes his key and his address, both of nobody else's. Without an answer he refuses.
    FakePeer(Swarm& swarm, std::uint64_t number, Answer answer = {})
        : record_(record_of(swarm, number)),
          id_(record_.node()),
          remote_(record_.addresses.front()),
          answer_(std::move(answer)) {}

    /// A holder that can be dialled, as far as its word goes.
    [[nodiscard]] static proto::NodeRecord record_of(Swarm& swarm, std::uint64_t number) {
        const Bytes octets{10, static_cast<std::uint8_t>(200 + number / 250),
                           static_cast<std::uint8_t>(number % 250), 1};
        proto::NodeRecord record;
        record.addresses = {core::Endpoint::from_octets(octets, 2929).value()};
        record.storing = true;
        record.started_ms = record.sequence = to_unix_ms(swarm.world().wall_now());
        record.expires = swarm.world().wall_now() + std::chrono::hours(1);
        record.sign(make_identity(1'000'000 + number));
        return record;
    }

    [[nodiscard]] const NodeId& id() const override { return id_; }
    [[nodiscard]] const proto::NodeRecord& record() const override { return record_; }
    [[nodiscard]] const core::Endpoint& remote() const override { return remote_; }
    [[nodiscard]] bool dialled() const override { return false; }
    [[nodiscard]] bool open() const override { return open_; }
    [[nodiscard]] net::PeerTraffic traffic() const override { return {}; }
    [[nodiscard]] std::chrono::milliseconds clock_skew() const override { return {}; }
    [[nodiscard]] asio::awaitable<Result<net::Reply>> request(proto::Message request,
                                                              Duration) override {
        if (!answer_) co_return fail(Errc::refused, "nothing is answered here");
        co_return answer_(request);
    }
    void notify(proto::Message) override {}
    void close(Error) override { open_ = false; }

  private:
    proto::NodeRecord record_;
    NodeId id_;
    core::Endpoint remote_;
    Answer answer_;
    bool open_ = true;
};

}  // namespace flow29::sim
