// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <optional>

#include <flow29/error.hpp>

#include "api/router.hpp"
#include "api/unique_fd.hpp"

namespace flow29::api {

/// Serves a router on Unix stream sockets, on a thread of its own.
///
/// A client sends one line, `{"method":…,"params":{…}}`, possibly with descriptors beside it: what
/// `publish` reads, or the socket that `cat` writes to. The server answers with JSON lines, the
/// last of which has the event "done" or "error", and closes. A client that closes first, or only
/// its sending side, cancels the operation.
///
/// Bounds: 64 connections, a line of 1 MiB, ten seconds for the request, thirty for a client that
/// does not read. While a client lags by limits::control_lines_waiting_max lines, progress is
/// dropped; the last line never is.
class ControlServer {
  public:
    /// `router` must outlive the server.
    explicit ControlServer(Router& router);
    /// Cancels what runs, gives it a few seconds to say so, and ends the thread.
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

    /// Also serves whoever connects to `path` and runs as this user or as root, and, if it is
    /// shared with a group, whoever is in that: those as Caller::member, and on at most three
    /// quarters of the connections. Several times for several paths. Errors: file_error;
    /// exists_already (another node answers there, and it is shared).
    [[nodiscard]] Result<void> listen(const std::filesystem::path& path,
                                      std::optional<gid_t> shared_with = std::nullopt);

    /// A connection from inside this process.
    [[nodiscard]] Result<UniqueFd> connect();

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace flow29::api
