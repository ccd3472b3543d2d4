// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "core/endpoint.hpp"
#include "core/unique_fd.hpp"

namespace flow29::net {

/// What came of asking the gateway.
struct MappedPort {
    std::string method;                      ///< "natpmp" or "upnp"; empty: there is no mapping
    std::optional<core::Endpoint> external;  ///< where others dial then
    std::string problem;                     ///< for people; empty where none is needed

    bool operator==(const MappedPort&) const = default;
};

/// Has the gateway of a private IPv4 network send on what arrives for this node: UDP and TCP, under
/// one number. First by NAT-PMP (RFC 6886), then by UPnP, on a thread of its own, because the
/// libraries for both block. A mapping is asked for an hour and renewed when half of that is over;
/// one that is not to be had is asked for again every five minutes.
class PortMapper {
  public:
    /// Called on the mapper's thread, when it changed.
    using ChangedFn = std::function<void(const MappedPort& mapped)>;

    PortMapper(std::uint16_t port, ChangedFn changed);
    /// Takes the mapping back; some seconds at most.
    ~PortMapper();
    PortMapper(const PortMapper&) = delete;
    PortMapper& operator=(const PortMapper&) = delete;

  private:
    void run();
    /// False when the mapper is to end.
    [[nodiscard]] bool wait(int milliseconds) const;
    [[nodiscard]] MappedPort map_port();
    [[nodiscard]] MappedPort map_by_natpmp(std::uint32_t gateway);
    [[nodiscard]] MappedPort map_by_upnp();
    void unmap();

    std::uint16_t port_;
    ChangedFn changed_;
    core::UniqueFd stop_;  // an event, readable once the mapper is to end
    MappedPort mapped_;
    std::string control_url_, service_;  // of the UPnP gateway that has the mapping
    std::thread thread_;                 // last: it uses the others
};

}  // namespace flow29::net
