// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <variant>
#include <vector>

#include <flow29/error.hpp>

#include "cli/options.hpp"

namespace flow29::cli {

/// Text that was asked for instead of a command: --help or --version.
struct HelpText {
    std::string text;
};

/// `arguments` without the program's name. Errc::usage says what is wrong and, for a misspelt
/// command or option, what was probably meant.
[[nodiscard]] Result<std::variant<Invocation, HelpText>> parse_command_line(
    const std::vector<std::string>& arguments);

/// True when --json is among them: an error in the others is reported as JSON too.
[[nodiscard]] bool asks_for_json(const std::vector<std::string>& arguments);

/// What the shells complete and the manual tells.
struct OptionSummary {
    std::vector<std::string> names;  ///< "--copies", "-q"; of an argument, "PATH"
    std::string description;
    bool takes_value = false;
    std::vector<std::string> values;  ///< when only some are allowed
    std::string value_name{};         ///< "N"; empty when it takes none
};
struct CommandSummary {
    std::string name;  ///< empty: the global options
    std::string description;
    std::vector<OptionSummary> options;
    bool takes_files = false;
    std::vector<std::string> values;  ///< of its positional argument, when only some are allowed
    std::vector<OptionSummary> arguments{};
    std::string example{};  ///< lines as they are typed
};
[[nodiscard]] std::vector<CommandSummary> describe_commands();

}  // namespace flow29::cli
