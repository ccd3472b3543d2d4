// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "cli/command_line.hpp"

namespace flow29::cli {

/// The manual's page in section 1, as scdoc(5) reads it, made from the table that the command line
/// is parsed with.
[[nodiscard]] std::string manual_page(const std::vector<CommandSummary>& commands);

}  // namespace flow29::cli
