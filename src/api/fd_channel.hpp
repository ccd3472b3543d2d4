// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/error.hpp>
#include <flow29/limits.hpp>

#include "api/unique_fd.hpp"

namespace flow29::api {

/// Cuts a byte stream into lines of at most so many octets, the newline not counted.
class LineBuffer {
  public:
    explicit LineBuffer(std::size_t bytes_max = limits::control_line_bytes_max)
        : bytes_max_(bytes_max) {}

    /// Takes the next octets. Errc::usage once a line is too long: the stream is then of no use.
    [[nodiscard]] Result<void> append(std::string_view octets);
    /// The next whole line without its newline, or nothing yet.
    [[nodiscard]] std::optional<std::string> pop_line();

  private:
    std::size_t bytes_max_;
    std::string pending_;
    std::size_t scanned_ = 0;  // octets of pending_ known to hold no newline
};

/// What one read gave.
struct Received {
    std::string octets;
    std::vector<UniqueFd> descriptors;
    bool end = false;          ///< the other side will send no more
    bool would_block = false;  ///< nothing is there yet
};

/// One `recvmsg` on a Unix stream socket. Errc::refused when more than
/// limits::control_descriptors_max descriptors came; other when the socket failed.
[[nodiscard]] Result<Received> receive_some(int socket);

/// Sends all of `octets`, with `descriptors` beside the first of them; blocks. Borrowed descriptors
/// stay the caller's. Never raises SIGPIPE.
[[nodiscard]] Result<void> send_all(int socket, std::string_view octets,
                                    const std::vector<int>& descriptors = {});

/// Two connected Unix stream sockets.
struct SocketPair {
    UniqueFd here;
    UniqueFd there;
};
[[nodiscard]] Result<SocketPair> make_socket_pair();

/// Listens on `path`, which only the owner may open (mode 0600), or its `group` as well (0660). A
/// socket file that is there is replaced, so the caller must hold the data directory's lock, or
/// know otherwise that nobody listens there. The socket does not block.
[[nodiscard]] Result<UniqueFd> listen_on(const std::filesystem::path& path,
                                         std::optional<gid_t> group = std::nullopt);

/// Errc::no_node when nobody listens at `path`.
[[nodiscard]] Result<UniqueFd> connect_to(const std::filesystem::path& path);

}  // namespace flow29::api
