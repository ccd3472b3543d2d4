// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/unix_message.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <flow29/limits.hpp>

namespace flow29::api {
namespace {

/// What stands beside the octets: room for as many descriptors as may come.
struct alignas(cmsghdr) Control {
    std::array<char, CMSG_SPACE(sizeof(int) * limits::control_descriptors_max)> octets;
};

/// Takes ownership of the descriptors that came with a message.
std::vector<UniqueFd> take_descriptors(msghdr& message) {
    std::vector<UniqueFd> taken;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            taken.emplace_back(fd);
        }
    }
    return taken;
}

}  // namespace

std::optional<UnixMessage> receive_message(int socket, std::span<char> buffer) {
    Control control;
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.octets.data();
    message.msg_controllen = control.octets.size();
    ssize_t count = 0;
    do {
        count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return std::nullopt;
    return UnixMessage{static_cast<std::size_t>(count), take_descriptors(message),
                       (message.msg_flags & MSG_TRUNC) != 0, (message.msg_flags & MSG_CTRUNC) != 0};
}

std::optional<std::size_t> send_message(int socket, std::string_view octets,
                                        std::span<const int> descriptors) {
    Control control{};
    iovec part{const_cast<char*>(octets.data()), octets.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const std::size_t descriptor_bytes =
        sizeof(int) * std::min(descriptors.size(), limits::control_descriptors_max);
    if (descriptor_bytes != 0) {
        message.msg_control = control.octets.data();
        message.msg_controllen = CMSG_SPACE(descriptor_bytes);
        cmsghdr* const head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(descriptor_bytes);
        std::memcpy(CMSG_DATA(head), descriptors.data(), descriptor_bytes);
    }
    ssize_t count = 0;
    do {
        count = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return std::nullopt;
    return static_cast<std::size_t>(count);
}

}  // namespace flow29::api
