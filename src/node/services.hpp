// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include <flow29/limits.hpp>
#include <flow29/node.hpp>

#include "core/endpoint.hpp"
#include "core/identity.hpp"
#include "core/key_space.hpp"
#include "core/line.hpp"
#include "dht/index.hpp"
#include "net/name_resolver.hpp"
#include "net/runtime.hpp"
#include "net/transport.hpp"
#include "store/store.hpp"

namespace flow29::node {

/// What a node stands on. The real node passes OpenDHT, TLS and a disk; the simulator its own.
/// All are owned by whoever made the engine and outlive it.
struct Services {
    net::Runtime& runtime;
    net::Transport& transport;
    dht::Index& index;
    store::Store& store;
    const core::Identity& identity;
    /// What the transport and the index share, for the engine to set. Null: they know no limits.
    core::Line* line = nullptr;
    core::KeySpace keys{};               ///< of the swarm
    net::NameResolver* names = nullptr;  ///< null: no names are looked up
};

/// How this node behaves.
struct Settings {
    bool storing = true;
    bool is_private = false;  ///< the swarm has a key
    ByteCount capacity;
    std::vector<core::Endpoint> addresses;  ///< that we listen on; unspecified hosts are resolved
                                            ///< by what peers say they see
    std::vector<core::Endpoint> bootstrap;
    std::vector<std::string> bootstrap_names{};  ///< HOST:PORT, to be looked up
    Duration grace = std::chrono::minutes(5);
    Duration takeover = std::chrono::seconds(10);
    Duration audit_period = std::chrono::hours(1);
    /// Asks others whether they can dial it, and stores nothing for them as long as they cannot.
    bool check_reach = false;
    Duration neighbourhood_period = std::chrono::seconds(60);
    ByteCount part_bytes{64ULL << 20};  ///< pushed at a time while the rest is being hashed
    unsigned quota_publisher = limits::quota_publisher_default;  ///< percent of the capacity
    unsigned quota_group = limits::quota_group_default;          ///< likewise
    /// What is not named: as set last, or the default.
    RateLimitsChange limits{};
    /// Never null; replaced as a whole, so that a worker may hold on to it.
    std::shared_ptr<const std::set<RootHash>> blocked_roots =
        std::make_shared<const std::set<RootHash>>();

    [[nodiscard]] bool is_blocked(const RootHash& root) const {
        return blocked_roots->contains(root);
    }
};

/// What a user is told who asks for it.
[[nodiscard]] inline std::string blocked_text(const RootHash& root) {
    return "this node blocks it; `flow29 unblock " + to_base32(root) + "` ends that";
}

}  // namespace flow29::node
