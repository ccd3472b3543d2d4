// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

namespace flow29::core {

/// `text` with control characters, and those that turn the writing direction, as \xNN: names come
/// from peers and must not drive a terminal, forge lines or look like others. Octets that are no
/// UTF-8 stay as they are.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace flow29::core
