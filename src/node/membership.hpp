// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <flow29/node.hpp>
#include "core/swarm_key.hpp"
#include "node/neighbourhood.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"

namespace flow29::node {

/// What an invitation may name.
struct KnownAddresses {
    std::vector<std::string> own;         ///< of this node, best first
    std::vector<std::string> configured;  ///< through which it joins itself
    std::vector<std::string> peers;       ///< of storing nodes that it is connected to
};
/// At most core::Invite::addresses_max, none twice, none that could not be dialled: own ones first,
/// then some of the others, so that the invitation outlives this node's address.
[[nodiscard]] std::vector<std::string> addresses_to_invite(const KnownAddresses& known);

/// Brings other nodes into this one's swarm, and this one to those that others name. On the
/// executor's thread only.
class Membership {
  public:
    struct Options {
        std::filesystem::path data;
        std::optional<core::SwarmKey> key;
        std::vector<std::string> bootstrap;       ///< HOST:PORT, as configured
        std::vector<core::Endpoint> listening{};  ///< with the port in use
    };
    Membership(Services services, Options options, const PeerBook& peers,
               Neighbourhood& neighbourhood)
        : services_(services),
          options_(std::move(options)),
          peers_(peers),
          neighbourhood_(neighbourhood) {}

    /// `own`: where this node may be reached, as far as it knows.
    [[nodiscard]] asio::awaitable<Result<Invitation>> invite(std::vector<core::Endpoint> own);
    [[nodiscard]] asio::awaitable<Result<Joined>> join(std::string word);

  private:
    Services services_;
    Options options_;
    const PeerBook& peers_;         // owned by the engine
    Neighbourhood& neighbourhood_;  // owned by the engine
};

}  // namespace flow29::node
