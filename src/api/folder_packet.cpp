// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/folder_packet.hpp"

#include <array>
#include <cerrno>
#include <span>

#include <flow29/limits.hpp>

#include "api/unix_message.hpp"

namespace flow29::api {

Result<void> send_packet(int socket, const std::string& octets, int descriptor) {
    const std::span<const int> beside(&descriptor, descriptor >= 0 ? 1 : 0);
    if (!send_message(socket, octets, beside)) return fail_errno(errno, "asking for a file");
    return {};
}

Result<FolderPacket> receive_packet(int socket) {
    // Most packets are small, and clearing this for each would cost more than all the rest.
    std::array<char, limits::folder_packet_bytes_max> buffer;
    auto message = receive_message(socket, buffer);
    if (!message || message->octets == 0)
        return fail(Errc::interrupted, "whoever asked for it opens no files for it any more");
    if (message->lost_octets) return fail(Errc::interrupted, "a packet is too long");
    FolderPacket packet{std::string(buffer.data(), message->octets), {}};
    if (!message->descriptors.empty()) packet.descriptor = std::move(message->descriptors.front());
    return packet;
}

}  // namespace flow29::api
