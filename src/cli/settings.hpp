// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <flow29/config.hpp>
#include <flow29/error.hpp>

#include "cli/options.hpp"
#include "core/endpoint.hpp"

namespace flow29::cli {

/// What a configuration file says: the node's long options as keys.
struct FileSettings {
    std::optional<std::filesystem::path> data;
    std::vector<std::string> bootstrap;
    std::optional<std::filesystem::path> swarm_key;
    NodeOptions node;
};

/// Reads TOML. `source` names it in errors. Errc::usage: not TOML, an unknown key (with the nearest
/// one), or a value of the wrong kind, with its line.
[[nodiscard]] Result<FileSettings> parse_config(std::string_view text, std::string_view source);

/// Reads a variable of the environment; an empty one counts as not set.
using GetEnvironment = std::function<std::optional<std::string>(const char* name)>;
[[nodiscard]] std::optional<std::string> process_environment(const char* name);

/// The node's set-up from, in this order, flags, environment, configuration file, defaults. `node`
/// is empty for commands that have no such flags. Errors: usage, file_error.
[[nodiscard]] Result<Config> resolve_config(const GlobalOptions& global, const NodeOptions& node,
                                            const GetEnvironment& environment);

/// Where a node serves HTTP. What was not given may be left out when its port is taken.
struct WebSettings {
    std::optional<core::Endpoint> page;     ///< none: off
    std::optional<core::Endpoint> gateway;  ///< none: off
    bool page_is_given = false;
    bool gateway_is_given = false;
};
/// From flags, configuration file, defaults. Errors: usage, file_error.
[[nodiscard]] Result<WebSettings> resolve_web(const GlobalOptions& global, const NodeOptions& node,
                                              const GetEnvironment& environment);

/// Who else may use the node, and where.
struct Sharing {
    std::string group;
    std::filesystem::path socket;
};
/// Nothing unless a group is named. From flags, configuration file, defaults. Errors: usage,
/// file_error.
[[nodiscard]] Result<std::optional<Sharing>> resolve_sharing(const GlobalOptions& global,
                                                             const NodeOptions& node,
                                                             const GetEnvironment& environment);
/// Where a command looks for a node that is shared with this user, when the user's own does not
/// run: FLOW29_SOCKET, else where such a node is unless told otherwise. Nothing when a data
/// directory is named: then that one's node is meant. Errors: usage, file_error.
[[nodiscard]] Result<std::optional<std::filesystem::path>> shared_control_socket(
    const GlobalOptions& global, const GetEnvironment& environment);

/// A setting as `config` shows it.
struct SettingInForce {
    std::string name;  ///< as in the file
    std::string value;
    std::string source;  ///< "flag", "environment", "file" or "default"
};
/// What a node started now would have, in the order of `flow29 node --help`. Errors: as
/// resolve_config.
[[nodiscard]] Result<std::vector<SettingInForce>> settings_in_force(
    const GlobalOptions& global, const GetEnvironment& environment);
/// The configuration file that is read, if it is there. Errc::usage: there is no home directory.
[[nodiscard]] Result<std::filesystem::path> config_path(const GlobalOptions& global,
                                                        const GetEnvironment& environment);

/// Where a node says at which URL its page is, while it serves one, and with which token.
[[nodiscard]] std::filesystem::path page_url_file(const Config& config);
[[nodiscard]] std::filesystem::path page_token_file(const Config& config);
/// Where the node of this data directory answers.
[[nodiscard]] std::filesystem::path control_socket(const Config& config);

}  // namespace flow29::cli
