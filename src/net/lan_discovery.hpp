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
#include "net/lan_schedule.hpp"
#include "net/lan_socket.hpp"

namespace flow29::net {

/// Calls for other nodes of the swarm on the networks that this machine is in (lan_sources), by
/// multicast (LanSocket), and hears them; when, LanSchedule says. Networks that come later, or
/// come back, are joined then. On a thread of its own.
class LanDiscovery {
  public:
    struct Options {
        std::uint16_t port = 0;  ///< of the node
        std::vector<core::Endpoint>
            listening;  ///< only networks of these addresses; unspecified: all of its family
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
    [[nodiscard]] bool wait();
    [[nodiscard]] std::vector<InterfaceAddress> find_sources();
    void look();
    void call();
    void hear(const LanSocket& socket);
    void forget_changes() const;

    core::LanCaller caller_;
    Options options_;
    HeardFn heard_;
    core::UniqueFd stop_;     // an event, readable once it is to end
    core::UniqueFd changes_;  // of the machine's networks, as the kernel tells them; may be empty
    std::vector<LanSocket> sockets_;
    std::vector<InterfaceAddress> own_;  // as of the last look
    std::set<InterfaceAddress> called_from_;
    LanHeard known_;
    LanSchedule schedule_;
    std::thread thread_;  // last: it uses the others
};

}  // namespace flow29::net
