// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <flow29/error.hpp>

#include "core/endpoint.hpp"

namespace flow29::api {

inline constexpr std::string_view web_address_default = "127.0.0.1:2930";
inline constexpr std::string_view gateway_address_default = "127.0.0.1:2931";

/// "127.0.0.1:2930", "[::1]:0" (any free port), "localhost:2930"; nothing for "off".
/// Errc::usage says what is wrong.
[[nodiscard]] Result<std::optional<core::Endpoint>> parse_web_address(std::string_view text);

/// "http://127.0.0.1:2930"
[[nodiscard]] std::string url_of(const core::Endpoint& endpoint);

}  // namespace flow29::api
