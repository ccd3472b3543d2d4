// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "core/endpoint.hpp"
#include "net/resolve.hpp"

namespace flow29::net {

/// Of a machine's own addresses, those from which a node calls on its LANs: where those who hear it
/// dial. Pure.
///
/// Rules:
/// 1. Only addresses that are listened on (`listening`; an unspecified one: all of its family).
/// 2. IPv4: the private ones.
/// 3. IPv6: one of each interface, the first that is good beyond the link, and that of the link
///    where there is no other. Rationale: records carry the former, and only then does a node that
///    hears calls on two links know that both are the same one's.
[[nodiscard]] std::vector<InterfaceAddress> lan_sources(
    const std::vector<InterfaceAddress>& own, const std::vector<core::Endpoint>& listening);

/// Whether a node that called may be dialled: it is at a private address, or at one of a /64 that
/// this machine is in. Rationale: who sends a call on chooses where it seems to come from, and must
/// not have a LAN's nodes dial whomever it likes.
[[nodiscard]] bool is_on_lan(const core::Endpoint& node, const std::vector<InterfaceAddress>& own);

}  // namespace flow29::net
