// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/page_request.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include <nlohmann/json.hpp>

#include "api/http_json.hpp"

namespace flow29::api {

HttpResponse not_allowed(const char* allowed) {
    auto response = json_error(405, {Errc::usage, std::string("this takes ") + allowed});
    response.headers.emplace_back("Allow", allowed);
    return response;
}

std::optional<HttpResponse> check_query(const HttpRequest& request,
                                        std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : request.query)
        if (std::ranges::find(known, name) == known.end())
            return json_error(400, {Errc::usage, "unknown parameter \"" + name + "\""});
    return std::nullopt;
}

std::string text_in(const HttpRequest& request, const char* name) {
    const auto found = request.query.find(name);
    return found == request.query.end() ? std::string() : found->second;
}

std::optional<std::uint64_t> number_in(const HttpRequest& request, const char* name) {
    const std::string text = text_in(request, name);
    std::uint64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [read, error] = std::from_chars(text.data(), end, number);
    if (text.empty() || error != std::errc() || read != end) return std::nullopt;
    return number;
}

std::string text_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

HttpResponse say(const Json& fields) {
    return json_response(to_line(done_event(fields)));
}

}  // namespace flow29::api
