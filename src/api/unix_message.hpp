// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "api/unique_fd.hpp"

/// Octets, and descriptors beside them, on a Unix socket: of a stream (see fd_channel.hpp) or of
/// packets (see folder_packet.hpp).
namespace flow29::api {

/// What one `recvmsg` brought.
struct UnixMessage {
    std::size_t octets = 0;  ///< in the caller's buffer; 0 when the other side will send no more
    std::vector<UniqueFd> descriptors;
    bool lost_octets = false;       ///< the packet was longer than the buffer
    bool lost_descriptors = false;  ///< there were more than limits::control_descriptors_max
};

/// One `recvmsg`, which blocks if the socket does. Nothing, with errno set, when it failed.
[[nodiscard]] std::optional<UnixMessage> receive_message(int socket, std::span<char> buffer);

/// One `sendmsg`: how many of the octets were taken; nothing, with errno set, when it failed. Of
/// borrowed descriptors the first limits::control_descriptors_max go along. Never raises SIGPIPE.
[[nodiscard]] std::optional<std::size_t> send_message(int socket, std::string_view octets,
                                                      std::span<const int> descriptors);

}  // namespace flow29::api
