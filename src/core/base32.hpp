// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <flow29/ids.hpp>

namespace flow29::core {

/// RFC 4648 base32 in lower case, without padding.
[[nodiscard]] std::string to_base32(ByteView raw);
/// The inverse, either case. Nothing when a character is no digit of base32, or when there are more
/// characters than the octets need, or bits that belong to no octet and are not 0: every value is
/// written in one way only.
[[nodiscard]] std::optional<Bytes> from_base32(std::string_view text);

}  // namespace flow29::core
