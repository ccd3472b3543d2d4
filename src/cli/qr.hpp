// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include <flow29/link.hpp>

namespace flow29::cli {

/// The QR code of `FLOW29:` and the root in upper case, which is 29 modules wide, with the margin
/// that readers want: 19 lines of 37 characters, two modules above each other in each. That of a
/// private object has its key as well, and so is larger. `coloured`:
/// dark on light whatever the terminal's colours are; else what is light is drawn, as on a dark
/// terminal.
[[nodiscard]] std::string qr_code(const Link& link, bool coloured);

}  // namespace flow29::cli
