// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string_view>

namespace flow29::api {

/// The two ports of a TCP connection within this machine, as its client has them.
struct LocalConnection {
    std::uint16_t client_port = 0;
    std::uint16_t server_port = 0;
};

/// Whether the client's end belongs to this process's user, or to root, who may do everything
/// anyway. False when the system does not say. Reads /proc/self/net/tcp and tcp6
/// (proc(5)).
[[nodiscard]] bool is_of_same_user(const LocalConnection& connection);

/// What a table of the form of /proc/net/tcp says of a connection: whether it is there, and whether
/// whoever has it is `user` or root. Addresses are not looked at: somebody may have the same ports
/// at another loopback address, and then it is nobody's, whatever becomes of his connection. Nor is
/// it anybody's once either end is being closed.
struct Owners {
    bool any = false;
    bool foreign = false;
};
[[nodiscard]] Owners owners_in(std::string_view table, const LocalConnection& connection,
                               std::uint64_t user);

}  // namespace flow29::api
