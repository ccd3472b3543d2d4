// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include <flow29/error.hpp>
#include <flow29/link.hpp>

#include "cli/settings.hpp"

namespace flow29::cli {

/// The link that a command is about: `argument`; "-" reads the first line of standard input; empty
/// takes FLOW29_LINK. Links of private objects carry their key, and other users can read a
/// process's arguments but not its environment or input. Errc::usage when there is none or it is
/// malformed.
[[nodiscard]] Result<Link> read_link(const std::string& argument,
                                     const GetEnvironment& environment);

}  // namespace flow29::cli
