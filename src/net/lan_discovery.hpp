// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "core/endpoint.hpp"
#include "core/lan_call.hpp"
#include "core/unique_fd.hpp"
#include "net/lan_heard.hpp"

namespace flow29::net {

/// Calls for other nodes of the swarm on the IPv4 networks that this machine is in, by multicast to
/// 239.255.29.29:29290, which no router passes on; and hears them. On a thread of its own.
///
/// Rules:
/// - Calls at the start, after 2, 10 and 30 seconds, and then once a minute.
/// - Calls back at most once a second when somebody calls who was not heard before (LanHeard).
///   Rationale: a newcomer finds the others at once.
class LanDiscovery {
  public:
    struct Options {
        std::uint16_t port = 0;  ///< of the node
        std::vector<core::Endpoint>
            listening;  ///< only networks of these addresses; unspecified: all
    };
    /// Called on the discovery's thread, with somebody who was not heard before.
    using HeardFn = std::function<void(const core::Endpoint& node)>;

    LanDiscovery(core::LanCaller caller, Options options, HeardFn heard);
    ~LanDiscovery();
    LanDiscovery(const LanDiscovery&) = delete;
    LanDiscovery& operator=(const LanDiscovery&) = delete;

  private:
    void run();
    void open();
    void call();
    void hear();
    [[nodiscard]] bool is_used(const core::Endpoint& own) const;

    core::LanCaller caller_;
    Options options_;
    HeardFn heard_;
    core::UniqueFd stop_;  // an event, readable once it is to end
    core::UniqueFd socket_;
    std::set<core::Endpoint> joined_;  // own addresses whose networks are listened to
    LanHeard known_;
    bool call_back_ = false;
    std::thread thread_;  // last: it uses the others
};

}  // namespace flow29::net
