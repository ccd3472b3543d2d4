// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/folder_packet.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include <flow29/limits.hpp>

namespace flow29::api {

Result<void> send_packet(int socket, const std::string& octets, int descriptor) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{const_cast<char*>(octets.data()), octets.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptor >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* const head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    }
    for (;;) {
        if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return {};
        if (errno != EINTR) return fail_errno(errno, "asking for a file");
    }
}

Result<FolderPacket> receive_packet(int socket) {
    // Most packets are small, and clearing this for each would cost more than all the rest.
    std::array<char, limits::folder_packet_bytes_max> buffer;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t count = 0;
    do {
        count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    if (count <= 0)
        return fail(Errc::interrupted, "whoever asked for it opens no files for it any more");
    FolderPacket packet;
    if (const cmsghdr* const head = CMSG_FIRSTHDR(&message);
        head != nullptr && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
        packet.descriptor.reset(fd);
    }
    if ((message.msg_flags & MSG_TRUNC) != 0)
        return fail(Errc::interrupted, "a packet is too long");
    packet.octets.assign(buffer.data(), static_cast<std::size_t>(count));
    return packet;
}

}  // namespace flow29::api
