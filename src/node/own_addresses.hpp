// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/endpoint.hpp"

namespace flow29::node {

/// At which addresses others can dial this node. Sans-IO.
///
/// Rules:
/// 1. Of each address family that is listened on: the addresses that were given, or, where that is
///    "any", the one at which a peer saw this node first. Nothing of the other family. Rationale:
///    what is dialled from is seen by others as well, and nobody listens there.
/// 2. What the gateway gave stands for what was seen of its family, and comes first.
/// 3. What is seen later counts if it is wider (proto::DialRules::may_name). Rationale: one on the
///    same LAN, or link, sees an address that is of no use to others.
/// 4. What means something on one link only comes last.
class OwnAddresses {
  public:
    /// `listening`: with the port in use, the same for all.
    explicit OwnAddresses(std::vector<core::Endpoint> listening)
        : listening_(std::move(listening)) {}

    /// What the gateway gave, or that it gives nothing any more.
    void on_mapped(const std::optional<core::Endpoint>& external) { mapped_ = external; }
    void on_observed(const core::Endpoint& observed);

    /// Best first, at most limits::addresses_per_record_max.
    [[nodiscard]] std::vector<core::Endpoint> all() const;
    /// The port under which somebody dials it who reaches this node by that family; 0: none.
    [[nodiscard]] std::uint16_t port(bool is_v4) const;

  private:
    [[nodiscard]] std::vector<core::Endpoint> of_family(bool is_v4) const;

    std::vector<core::Endpoint> listening_;
    std::optional<core::Endpoint> mapped_;
    std::optional<core::Endpoint> observed_v4_;
    std::optional<core::Endpoint> observed_v6_;
};

}  // namespace flow29::node
