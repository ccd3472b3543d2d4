// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/web_address.hpp"

#include <fmt/format.h>

namespace flow29::api {

Result<std::optional<core::Endpoint>> parse_web_address(std::string_view text) {
    if (text == "off") return std::nullopt;
    constexpr std::string_view local = "localhost:";
    const std::string literal = text.starts_with(local)
                                    ? fmt::format("127.0.0.1:{}", text.substr(local.size()))
                                    : std::string(text);
    const auto endpoint = core::Endpoint::parse(literal);
    if (!endpoint)
        return fail(Errc::usage, fmt::format("\"{}\" is neither ADDRESS:PORT nor off: {}", text,
                                             endpoint.error().message()));
    return *endpoint;
}

std::string url_of(const core::Endpoint& endpoint) {
    return "http://" + endpoint.to_string();
}

}  // namespace flow29::api
