// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>

#include "node/hinter.hpp"
#include "node/keeper.hpp"
#include "node/kept_sync.hpp"
#include "node/services.hpp"
#include "node/trimmer.hpp"
#include "proto/dial_back_rules.hpp"
#include "proto/node_table.hpp"

namespace flow29::node {

/// Answers the requests of peers.
class Server {
  public:
    using OwnRecord = std::function<proto::NodeRecord()>;
    /// Told when a held extent turned out damaged, and when a lease changed; knows the parts that
    /// are being published, which no store has, and dials.
    struct Events {
        std::function<void(const ExtentHash& extent)> on_damaged;
        std::function<void(const proto::Lease& lease)> on_lease;
        std::function<std::optional<core::Descriptor>(const RootHash& root)> part;
        /// PeerBook::dial_back.
        std::function<asio::awaitable<std::optional<bool>>(net::PeerPtr asker, std::uint16_t port)>
            dial_back;
    };

    Server(Services services, const Settings& settings, Keeper& keeper, KeptSync& sync,
           Trimmer& trimmer, const Hinter& hinter, const proto::NodeTable& table,
           OwnRecord own_record, Events events)
        : services_(services),
          settings_(settings),
          keeper_(keeper),
          sync_(sync),
          trimmer_(trimmer),
          hinter_(hinter),
          table_(table),
          own_record_(std::move(own_record)),
          events_(std::move(events)) {}

    [[nodiscard]] asio::awaitable<Result<net::Reply>> answer(net::PeerPtr peer,
                                                             proto::Message request);

  private:
    [[nodiscard]] asio::awaitable<Result<net::Reply>> range(proto::GetRange request);
    [[nodiscard]] asio::awaitable<Result<net::Reply>> descriptor(proto::GetDescriptor request);
    [[nodiscard]] asio::awaitable<Result<net::Reply>> holders(proto::GetHolders request);
    [[nodiscard]] asio::awaitable<Result<net::Reply>> have(proto::Have request);
    [[nodiscard]] asio::awaitable<Result<net::Reply>> invite(net::PeerPtr peer,
                                                             proto::Invite request);
    [[nodiscard]] asio::awaitable<Result<net::Reply>> closest(proto::GetClosest request);
    [[nodiscard]] asio::awaitable<Result<net::Reply>> lease(net::PeerPtr peer,
                                                            proto::UpdateLease request);
    [[nodiscard]] asio::awaitable<Result<net::Reply>> leases(proto::GetLeases request);
    [[nodiscard]] asio::awaitable<Result<net::Reply>> dial_back(net::PeerPtr peer,
                                                                proto::DialBack request);

    [[nodiscard]] bool takes_too_much(const core::Descriptor& object, const proto::Lease& lease,
                                      const core::AddressGroup& asker, WallTime wall_now) const;

    Services services_;
    const Settings& settings_;       // owned by the engine
    Keeper& keeper_;                 // owned by the engine
    KeptSync& sync_;                 // owned by the caretaker
    Trimmer& trimmer_;               // owned by the engine
    const Hinter& hinter_;           // owned by the engine
    const proto::NodeTable& table_;  // owned by the engine
    OwnRecord own_record_;
    Events events_;
    proto::DialBackRules dial_back_rules_;
};

}  // namespace flow29::node
