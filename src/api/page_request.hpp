// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "api/http_message.hpp"
#include "api/json_results.hpp"

namespace flow29::api {

// What a request of the page says, and the plain answers to it.

/// The refusal of a method that is none of `allowed`, like "GET, HEAD".
[[nodiscard]] HttpResponse not_allowed(const char* allowed);
/// The refusal when a parameter is none of `known`.
[[nodiscard]] std::optional<HttpResponse> check_query(
    const HttpRequest& request, std::initializer_list<std::string_view> known);
/// Empty when it is not there.
[[nodiscard]] std::string text_in(const HttpRequest& request, const char* name);
/// Nothing when it is not there, or no number.
[[nodiscard]] std::optional<std::uint64_t> number_in(const HttpRequest& request, const char* name);

/// As text, with what is no UTF-8 replaced.
[[nodiscard]] std::string text_of(const Json& json);
/// It went well, with these fields.
[[nodiscard]] HttpResponse say(const Json& fields);

}  // namespace flow29::api
