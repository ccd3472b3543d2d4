// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include <flow29/ids.hpp>

namespace flow29::core {

/// "8.0 MiB", "512 B": three figures or so.
[[nodiscard]] std::string size_text(ByteCount size);

}  // namespace flow29::core
