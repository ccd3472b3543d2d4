// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <flow29/error.hpp>

#include "api/unique_fd.hpp"
#include "cli/backend.hpp"
#include "cli/interrupt.hpp"
#include "cli/output.hpp"

namespace flow29::cli {

/// What a command needs besides its options.
struct Context {
    const GlobalOptions& global;
    const Config& config;
    Output& output;
    Interrupt& interrupt;
    /// Of a node that is shared with this user; none: only the own one is asked.
    std::optional<std::filesystem::path> shared_socket{};
};

/// One operation of a node.
struct CallSpec {
    std::string method;
    std::string params;                      ///< a JSON object
    std::vector<api::UniqueFd> descriptors;  ///< sent along and closed here
};

/// Runs it: progress goes to the output, a signal cancels it. Returns the last line, newline
/// included. Errors: what the node answered; interrupted; no_node when it went away.
[[nodiscard]] Result<std::string> run_call(Backend& backend, CallSpec spec, Context& context);

}  // namespace flow29::cli
