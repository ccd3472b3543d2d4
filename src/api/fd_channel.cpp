// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/fd_channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include "api/unix_message.hpp"

namespace flow29::api {
namespace {

constexpr std::size_t read_bytes = 64 * 1024;

/// A socket address for a path of any length: one that does not fit in sun_path is reached through
/// its directory's descriptor.
struct LocalAddress {
    UniqueFd directory;  // must live until the address has been used
    sockaddr_un raw{};
};

Result<LocalAddress> local_address(const std::filesystem::path& path) {
    LocalAddress address;
    address.raw.sun_family = AF_UNIX;
    std::string text = path.string();
    if (text.size() >= sizeof address.raw.sun_path) {
        const auto parent = path.parent_path();
        address.directory.reset(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!address.directory) return fail_errno(errno, "cannot open " + parent.string());
        text =
            fmt::format("/proc/self/fd/{}/{}", address.directory.get(), path.filename().string());
    }
    if (text.size() >= sizeof address.raw.sun_path)
        return fail(Errc::file_error, "the name of the control socket is too long: " + text +
                                          "; --data names a directory with a shorter one");
    std::memcpy(address.raw.sun_path, text.data(), text.size());
    return address;
}

const sockaddr* generic(const LocalAddress& address) {
    return reinterpret_cast<const sockaddr*>(&address.raw);
}

/// False with errno set.
bool give_to_group(const std::filesystem::path& path, gid_t group) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) return false;
    // Of the own group it is already, and a sandbox may have no chown().
    constexpr auto same_user = static_cast<uid_t>(-1);
    if (facts.st_gid != group && ::chown(path.c_str(), same_user, group) != 0) return false;
    return ::chmod(path.c_str(), 0660) == 0;
}

}  // namespace

Result<void> LineBuffer::append(std::string_view octets) {
    pending_ += octets;
    const auto newline = pending_.find('\n', scanned_);
    const auto line_bytes = newline == std::string::npos ? pending_.size() : newline;
    if (line_bytes > bytes_max_)
        return fail(Errc::usage, fmt::format("a line is longer than {} bytes", bytes_max_));
    return {};
}

std::optional<std::string> LineBuffer::pop_line() {
    const auto newline = pending_.find('\n', scanned_);
    if (newline == std::string::npos) {
        scanned_ = pending_.size();
        return std::nullopt;
    }
    std::string line = pending_.substr(0, newline);
    pending_.erase(0, newline + 1);
    scanned_ = 0;
    return line;
}

Result<Received> receive_some(int socket) {
    std::array<char, read_bytes> buffer;
    Received received;
    auto message = receive_message(socket, buffer);
    if (!message) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            received.would_block = true;
            return received;
        }
        return fail(Errc::other, fmt::format("reading from the control socket: {}",
                                             std::generic_category().message(errno)));
    }
    if (message->lost_descriptors)
        return fail(Errc::refused, "too many descriptors came with the request");
    received.octets.assign(buffer.data(), message->octets);
    received.descriptors = std::move(message->descriptors);
    received.end = message->octets == 0;
    return received;
}

Result<void> send_all(int socket, std::string_view octets, const std::vector<int>& descriptors) {
    std::span<const int> beside = descriptors;
    while (!octets.empty()) {
        const auto count = send_message(socket, octets, beside);
        if (!count)
            return fail(Errc::other, fmt::format("writing to the control socket: {}",
                                                 std::generic_category().message(errno)));
        beside = {};
        octets.remove_prefix(*count);
    }
    return {};
}

Result<SocketPair> make_socket_pair() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail(Errc::other, fmt::format("cannot make a pair of sockets: {}",
                                             std::generic_category().message(errno)));
    return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<UniqueFd> listen_on(const std::filesystem::path& path, std::optional<gid_t> group) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return fail_errno(errno, "cannot make the control socket");
    const auto address = local_address(path);
    if (!address) return fail(address.error());
    // A socket file cannot be reused; the one of a node that was killed is still there.
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return fail_errno(errno, "cannot replace " + path.string());
    // bind() gives the file the socket's own mode: there is no moment at which others may connect.
    constexpr int backlog = 64;
    if (::fchmod(socket.get(), 0600) != 0 ||
        ::bind(socket.get(), generic(*address), sizeof address->raw) != 0 ||
        ::listen(socket.get(), backlog) != 0)
        return fail_errno(errno, "cannot listen on " + path.string());
    if (group && !give_to_group(path, *group))
        return fail_errno(errno, "cannot give " + path.string() +
                                     " to the group, in which the node's user must be");
    return socket;
}

Result<UniqueFd> connect_to(const std::filesystem::path& path) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno(errno, "cannot make a socket");
    const auto address = local_address(path);
    if (!address) return fail(Errc::no_node, address.error().context);
    if (::connect(socket.get(), generic(*address), sizeof address->raw) == 0) return socket;
    const Errc code = errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR
                          ? Errc::no_node
                          : Errc::file_error;
    return fail(code, fmt::format("cannot connect to {}: {}", path.string(),
                                  std::generic_category().message(errno)));
}

}  // namespace flow29::api
