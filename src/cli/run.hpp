// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

namespace flow29::cli {

/// The whole program. `arguments` without its name. Returns the exit status.
int run(const std::vector<std::string>& arguments);

}  // namespace flow29::cli
