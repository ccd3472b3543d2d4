// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <set>
#include <span>
#include <vector>

#include "core/unique_fd.hpp"
#include "net/resolve.hpp"

namespace flow29::net {

/// Multicast of one address family to the group in which nodes call on a LAN, which no router
/// passes on: 239.255.29.29 (RFC 2365) or ff12::29:29 (RFC 4291: of one link, and not assigned to
/// anybody for good), port 29290.
class LanSocket {
  public:
    /// Nothing where the system has no such socket, with errno saying why.
    [[nodiscard]] static std::optional<LanSocket> open(bool is_v4);

    /// Readable once something was sent to the group.
    [[nodiscard]] int fd() const { return socket_.get(); }
    [[nodiscard]] bool is_v4() const { return is_v4_; }
    /// From now on the group is listened to on the interfaces of these addresses, and on no others.
    void listen_on(const std::vector<InterfaceAddress>& sources);
    /// Sends from that address, so that who hears it knows where to dial. False when the system
    /// would not: the address may be gone, or not yet good.
    [[nodiscard]] bool send(const InterfaceAddress& source, ByteView datagram) const;

    struct Heard {
        std::size_t octets = 0;
        core::Endpoint from;
    };
    /// The next datagram to the group, if there is one; what does not fit `buffer` is cut.
    [[nodiscard]] std::optional<Heard> receive(std::span<std::uint8_t> buffer) const;

  private:
    LanSocket(core::UniqueFd socket, bool is_v4) : socket_(std::move(socket)), is_v4_(is_v4) {}
    [[nodiscard]] bool set_member(unsigned interface, bool member) const;

    core::UniqueFd socket_;
    bool is_v4_;
    std::set<unsigned> joined_;  // interfaces
};

}  // namespace flow29::net
