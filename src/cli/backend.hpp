// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <flow29/config.hpp>
#include <flow29/error.hpp>

#include "api/unique_fd.hpp"

namespace flow29::cli {

struct Context;

/// The node that a command speaks to: the daemon of the data directory, one that is shared with
/// this user, or one inside this process for as long as this object lives. All are reached through
/// the same kind of socket.
class Backend {
  public:
    /// The daemon of the data directory. Errc::no_node when it does not answer.
    [[nodiscard]] static Result<std::unique_ptr<Backend>> daemon(const Config& config);

    /// That one, or else the one that is shared. Errc::no_node when neither answers.
    [[nodiscard]] static Result<std::unique_ptr<Backend>> running(const Context& context);

    /// Whether the one that is shared answers. A command that is about one's own does not use it.
    [[nodiscard]] static bool is_shared_running(const Context& context);

    /// One of those, or else a node in this process that stores nothing for others and joins
    /// through the configured bootstrap addresses and `addresses` (HOST:PORT). Errors: those of
    /// Node::start.
    [[nodiscard]] static Result<std::unique_ptr<Backend>> any(
        const Context& context, const std::vector<std::string>& addresses);

    ~Backend();
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    /// A connection for one request.
    [[nodiscard]] Result<api::UniqueFd> connect();
    [[nodiscard]] bool is_in_process() const;
    /// Where files that are needed for a moment may lie.
    [[nodiscard]] const std::filesystem::path& data() const;

  private:
    struct Local;
    /// `socket`: of a daemon. `spool`: see data().
    Backend(std::filesystem::path socket, std::filesystem::path spool);

    std::filesystem::path socket_;
    std::filesystem::path spool_;
    std::unique_ptr<Local> local_;
};

}  // namespace flow29::cli
