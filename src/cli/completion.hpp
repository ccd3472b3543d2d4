// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "cli/command_line.hpp"

namespace flow29::cli {

/// The script that teaches a shell these commands.
[[nodiscard]] std::string completion_script(Shell shell,
                                            const std::vector<CommandSummary>& commands);

}  // namespace flow29::cli
