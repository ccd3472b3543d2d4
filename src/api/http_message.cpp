// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_message.hpp"

#include <algorithm>

namespace flow29::api {

std::size_t HttpRequest::header_count(std::string_view name) const {
    return static_cast<std::size_t>(std::count_if(
        headers.begin(), headers.end(), [&](const auto& header) { return header.first == name; }));
}

std::optional<std::string> HttpRequest::header(std::string_view name) const {
    if (header_count(name) != 1) return std::nullopt;
    const auto found = std::find_if(headers.begin(), headers.end(),
                                    [&](const auto& header) { return header.first == name; });
    return found->second;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t";
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text.substr(0, text.find_last_not_of(blanks) + 1);
}

HttpResponse http_text(int status, std::string text) {
    HttpResponse response;
    response.status = status;
    response.body = std::move(text) + "\n";
    return response;
}

}  // namespace flow29::api
