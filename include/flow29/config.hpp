// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <flow29/ids.hpp>
#include <flow29/limits.hpp>

namespace flow29 {

/// How a node is set up.
struct Config {
    std::filesystem::path data;          ///< its directory: key, catalogue, extents, control socket
    std::uint16_t port = 2929;           ///< UDP for the DHT and TCP for transfers; 0 picks one
    std::vector<std::string> listen;     ///< literal addresses; none: 0.0.0.0, and :: if there is
    std::vector<std::string> bootstrap;  ///< HOST:PORT of nodes of the swarm
    /// The key of the private swarm that the node is in; empty: DATA/swarm.key if that is there,
    /// else the swarm is public.
    std::filesystem::path swarm_key;
    ByteCount capacity{50ULL << 30};  ///< bytes on disk, everything counted
    bool store = true;                ///< false: fetch and publish only, hold nothing for others
    unsigned copies = limits::copies_default;  ///< wanted of what is published here
    std::chrono::milliseconds grace = std::chrono::minutes(5);  ///< missing this long: lost
    /// Within this, a neighbour that lacks a tenth of what it acknowledged is found out (99 %).
    std::chrono::milliseconds audit_period = std::chrono::hours(1);
    /// Of the capacity, in percent, what one publisher's leases, and what is kept because nodes of
    /// one address group (/24, /48) asked, may occupy; 100: no bound.
    unsigned quota_publisher = limits::quota_publisher_default;
    unsigned quota_group = limits::quota_group_default;
    /// Bytes per second for repair, 0 being none; nothing: as it was set last, or 16 MiB.
    std::optional<ByteCount> repair_limit;
    /// Likewise for everything that is sent and received, the DHT included; else no limit.
    std::optional<ByteCount> up_limit;
    std::optional<ByteCount> down_limit;
    /// Asks the gateway (NAT-PMP, UPnP) to let others in, where this machine has a private address
    /// and listens on it.
    bool map_port = false;
    /// Calls for other nodes of the swarm on the same LAN, and hears them.
    bool discover = false;
    std::uint32_t network = 29;  ///< swarms of different numbers do not mix
};

}  // namespace flow29
