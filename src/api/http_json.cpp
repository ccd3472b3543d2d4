// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_json.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "api/http_status.hpp"
#include "api/json_results.hpp"

namespace flow29::api {

HttpResponse json_response(std::string line) {
    HttpResponse response;
    const auto json = Json::parse(line, nullptr, false);
    if (json.is_object() && json.value("event", "") == "error") {
        response.status = 500;
        const std::string code = json.value("code", "");
        for (int i = 0; i <= static_cast<int>(Errc::locked); ++i)
            if (errc_name(static_cast<Errc>(i)) == code)
                response.status = http_status_of(static_cast<Errc>(i));
    }
    response.content_type = "application/json";
    response.headers.emplace_back("Cache-Control", "no-store");
    response.body = std::move(line);
    return response;
}

HttpResponse json_error(const Error& error) {
    return json_response(error_line(error));
}

HttpResponse json_error(int status, const Error& error) {
    HttpResponse response = json_error(error);
    response.status = status;
    return response;
}

}  // namespace flow29::api
