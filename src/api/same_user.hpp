// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string_view>

#include "core/endpoint.hpp"

namespace flow29::api {

/// Both ends of a TCP connection within this machine.
struct LocalConnection {
    core::Endpoint client;
    core::Endpoint server;
};

/// Whether the client's end belongs to this process's user, or to root, who may do everything
/// anyway. False when the system does not say. Reads /proc/self/net/tcp and tcp6
/// (proc(5)).
[[nodiscard]] bool is_of_same_user(const LocalConnection& connection);

/// What a table of the form of /proc/net/tcp or tcp6 says of a connection: whether it is there, and
/// whether somebody else than `user` or root may have it. He may when another loopback address has
/// the same ports, and once either end is being closed. That alone would not do: the tables are
/// read one after the other, and a socket can move from one to the other meanwhile
/// (IPV6_ADDRFORM), so that it is in neither.
struct Owners {
    bool any = false;
    bool foreign = false;
};
[[nodiscard]] Owners owners_in(std::string_view table, const LocalConnection& connection,
                               std::uint64_t user);

}  // namespace flow29::api
