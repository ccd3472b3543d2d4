// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <flow29/config.hpp>
#include <flow29/error.hpp>

#include "api/unique_fd.hpp"

namespace flow29::cli {

/// The node that a command speaks to: the daemon of the data directory, or one inside this process
/// for as long as this object lives. Both are reached through the same kind of socket.
class Backend {
  public:
    /// Errc::no_node when no daemon answers.
    [[nodiscard]] static Result<std::unique_ptr<Backend>> daemon(const Config& config);

    /// The daemon, or else a node in this process that stores nothing for others and joins through
    /// config.bootstrap and `addresses` (HOST:PORT). Errors: no_network, and those of Node::start.
    [[nodiscard]] static Result<std::unique_ptr<Backend>> any(
        Config config, const std::vector<std::string>& addresses);

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
    explicit Backend(Config config);

    Config config_;
    std::unique_ptr<Local> local_;
};

}  // namespace flow29::cli
