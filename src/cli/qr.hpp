// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include <flow29/ids.hpp>

namespace flow29::cli {

/// The QR code of `FLOW29:` and the root in upper case, which is 29 modules wide, with the margin
/// that readers want: 19 lines of 37 characters, two modules above each other in each. `coloured`:
/// dark on light whatever the terminal's colours are; else what is light is drawn, as on a dark
/// terminal.
[[nodiscard]] std::string qr_code(const RootHash& root, bool coloured);

}  // namespace flow29::cli
