// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_guard.hpp"

#include <algorithm>

namespace flow29::api {
namespace {

// Locale-free.
std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

/// The Host header without its port; nothing when the port is no port.
std::optional<std::string> name_in(const std::string& host) {
    const auto bracket = host.rfind(']');
    const auto colon = host.rfind(':');
    if (colon == std::string::npos || (bracket != std::string::npos && colon < bracket))
        return lower(host);
    const auto port = host.substr(colon + 1);
    const bool digits =
        !port.empty() && port.size() <= 5 &&
        std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return std::nullopt;
    return lower(host.substr(0, colon));
}

/// An address as Host writes it, v6 in brackets.
std::optional<core::Endpoint> literal(const std::string& host) {
    const auto endpoint = core::Endpoint::parse(host + ":1");
    if (!endpoint) return std::nullopt;
    return *endpoint;
}

bool is_ours(const std::string& host, const HttpRequest& request,
             const core::Endpoint& configured) {
    const auto name = name_in(host);
    if (!name) return false;
    if (*name == "localhost") return true;
    const auto address = literal(*name);
    if (!address) return false;
    if (address->is_loopback() || address->address == configured.address) return true;
    return request.server && request.server->address == address->address;
}

/// Whether another site has the browser get this for a page of its own, as far as the browser says.
bool is_for_other_site(const HttpRequest& request) {
    if (request.header_count("sec-fetch-site") == 0) return false;  // curl, or not from a page
    const auto site = request.header("sec-fetch-site");
    if (site == "same-origin" || site == "same-site" || site == "none") return false;
    return request.header("sec-fetch-mode") != "navigate" ||
           request.header("sec-fetch-dest") != "document" ||
           request.header_count("sec-purpose") != 0;
}

}  // namespace

std::optional<HttpResponse> refuse_foreign(const HttpRequest& request,
                                           const core::Endpoint& configured, bool may_change,
                                           std::uint16_t page_port) {
    const auto host = request.header("host");
    if (!host || !is_ours(*host, request, configured))
        return http_text(403, "the Host header names another server");
    const bool has_foreign_origin = request.header_count("origin") != 0 &&
                                    request.header("origin") != "http://" + *host &&
                                    !is_of_page(request, page_port);
    if (has_foreign_origin || is_for_other_site(request))
        return http_text(403, "requests from other sites' pages are refused");
    if (request.method != "GET" && request.method != "HEAD" && !may_change) {
        HttpResponse response = http_text(405, "only GET and HEAD");
        response.headers.emplace_back("Allow", "GET, HEAD");
        return response;
    }
    return std::nullopt;
}

bool is_of_page(const HttpRequest& request, std::uint16_t page_port) {
    const auto host = request.header("host");
    const auto name = host ? name_in(*host) : std::nullopt;
    return page_port != 0 && name &&
           request.header("origin") == "http://" + *name + ":" + std::to_string(page_port);
}

}  // namespace flow29::api
