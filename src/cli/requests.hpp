// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <string>

#include "cli/options.hpp"

/// The params of requests as JSON objects. What was not given is left out: the node's defaults
/// rule.
namespace flow29::cli {

/// What is published, once it has been opened.
struct Source {
    std::string name;
    std::filesystem::path path;  ///< absolute; only for --by-reference
};
[[nodiscard]] std::string publish_params(const PublishOptions& options, const Source& source);

/// Where a fetch writes.
struct FetchOutput {
    std::filesystem::path path;  ///< absolute
    std::string name{};          ///< of a file in `path`, when that is a directory; may be empty
    bool inside = false;         ///< the node is given the folder that `path` is as well
};
/// `link`: what the command line, the environment or standard input gave.
[[nodiscard]] std::string fetch_params(const FetchOptions& options, const std::string& link,
                                       const FetchOutput& output);
[[nodiscard]] std::string cat_params(const CatOptions& options, const std::string& link);
/// `hash` in hexadecimal.
[[nodiscard]] std::string locate_params(const LocateOptions& options, const std::string& hash);
[[nodiscard]] std::string health_params(const HealthOptions& options, const std::string& link);
/// `after`: the number of the last line that is known.
[[nodiscard]] std::string log_params(const LogOptions& options, std::uint64_t after);
[[nodiscard]] std::string leave_params(const LeaveOptions& options);
[[nodiscard]] std::string block_params(const BlockOptions& options);
[[nodiscard]] std::string transfer_params(const TransferOptions& options);
[[nodiscard]] std::string peers_params(const ListOptions& options);
[[nodiscard]] std::string list_params(const ListOptions& options, const std::string& link);
[[nodiscard]] std::string limit_params(const LimitOptions& options);
[[nodiscard]] std::string join_params(const std::string& invite);
[[nodiscard]] std::string link_params(const std::string& link);

}  // namespace flow29::cli
