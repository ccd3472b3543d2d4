// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "api/gateway.hpp"
#include "api/http_condition.hpp"
#include "api/http_guard.hpp"
#include "api/http_server.hpp"

#include "fake_node.hpp"
#include "input.hpp"
#include "place.hpp"

namespace {

using namespace flow29;
using api::HttpRequest;
using api::HttpResponse;

const core::Endpoint configured = *core::Endpoint::parse("198.51.100.9:2930");

/// The page's server and the gateway, with the handlers that their listeners would call.
struct Servers {
    std::unique_ptr<Node> node = std::move(*Node::start({}));
    api::Router router{*node, 4};
    fuzz::Place place;  // of what pages upload and fetch
    api::HttpServer page{*node, router, {place.path() / "token", {}}};
    api::HttpHandler page_handler = fuzz::handler();
    api::Gateway gateway{*node};
    api::HttpHandler gateway_handler = fuzz::handler();
};

std::string pick(fuzz::Input& input, std::initializer_list<const char*> usual) {
    const auto choice = input.octet();
    return choice < 2 * usual.size() ? *(usual.begin() + choice / 2) : input.text(200);
}

/// Nothing when the address is none.
std::optional<core::Endpoint> end_of(const std::string& address) {
    const auto end = core::Endpoint::parse(address + ":1");
    return end ? std::optional(*end) : std::nullopt;
}

HttpRequest make_request(fuzz::Input& input, const std::string& token) {
    HttpRequest request;
    request.method = pick(input, {"GET", "GET", "HEAD", "POST", "PATCH", "PUT"});
    const std::string root((input.octet() % 3) + 50, input.flag() ? 'a' : 'e');
    request.path = pick(input, {"/", "/f/", "/api/v1/", "/metrics", "/f/", "/f/"});
    if (request.path == "/f/") request.path += root;
    if (input.flag()) request.path += input.text(100);
    if (request.path == "/api/v1/")
        request.path += pick(input, {"status", "peers", "ls", "health", "block", "limit",
                                     "transfers", "transfers/pause", "leave", "rm", "map", "events",
                                     "uploads", "uploads/0", "fetch", "jobs/forget"});
    for (auto left = input.number(2); left > 0; --left)
        request.query.emplace(pick(input, {"name", "link", "id", "up", "offset", "path"}),
                              input.text(100));
    request.server = end_of(pick(input, {"127.0.0.1", "192.0.2.7", "[2001:db8::7]"}));
    request.client = end_of(pick(input, {"127.0.0.1", "192.0.2.8", "[::1]"}));
    for (auto left = input.number(4); left > 0; --left) {
        const auto name = pick(input, {"host", "origin", "range", "if-range", "if-none-match",
                                       "accept", "authorization", "x-flow29-token", "if-match"});
        auto value = pick(input, {"localhost:2930", "http://localhost:2930", "bytes=0-99",
                                  "bytes=-5", "*", "application/json", "[::1]:1", "192.0.2.7",
                                  "bytes=0-9,-5,300-", "bytes=650-699,699-, 0-0"});
        if (name == "x-flow29-token" && input.flag()) value = token;
        request.headers.emplace_back(name, value);
    }
    request.body = pick(input, {"", R"({"name":"a","bytes":1})", R"({"name":"../a","bytes":1})"});
    return request;
}

bool is_clean(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

/// What is let through names this server, is no other site's, and does not ask for a change.
void check_guard(const HttpRequest& request, bool may_change) {
    const auto refusal = api::refuse_foreign(request, configured, may_change);
    if (refusal) {
        FLOW29_ASSERT(refusal->status == 403 || refusal->status == 405);
        return;
    }
    std::string host;
    for (const auto& [name, value] : request.headers) {
        FLOW29_ASSERT(name != "host" || host.empty());
        if (name == "host") host = value;
    }
    for (const auto& [name, value] : request.headers)
        FLOW29_ASSERT(name != "origin" || value == "http://" + host);
    const bool named = host.size() >= 9 && ::strncasecmp(host.data(), "localhost", 9) == 0 &&
                       (host.size() == 9 || host[9] == ':');
    const auto bare = host.ends_with(']') || host.find(':') == std::string::npos;
    const auto address =
        core::Endpoint::parse(host.substr(0, bare ? host.size() : host.rfind(':')) + ":1");
    FLOW29_ASSERT(named || address);
    if (!named && !address->is_loopback() && address->address != configured.address)
        FLOW29_ASSERT(request.server && request.server->address == address->address);
    FLOW29_ASSERT(request.method == "GET" || request.method == "HEAD" || may_change);
}

/// The bytes of the object from `first` on.
void check_bytes(std::string_view bytes, std::uint64_t first) {
    FLOW29_ASSERT(first + bytes.size() <= fuzz::file_bytes);
    for (const char octet : bytes)
        FLOW29_ASSERT(static_cast<std::uint8_t>(octet) == fuzz::file_octet(first++));
}

/// Takes `text` away from the beginning.
void take(std::string_view& from, std::string_view text) {
    FLOW29_ASSERT(from.starts_with(text));
    from.remove_prefix(text.size());
}

std::uint64_t take_number(std::string_view& from) {
    const auto end = std::min(from.find_first_not_of("0123456789"), from.size());
    const auto number = std::strtoull(std::string(from.substr(0, end)).c_str(), nullptr, 10);
    from.remove_prefix(end);
    return number;
}

/// Two parts or more, none of which has a byte of another.
void check_parts(std::string_view body, std::string_view boundary) {
    std::vector<ByteRange> ranges;
    take(body, "--");
    take(body, boundary);
    while (body != "--\r\n") {
        take(body, "\r\nContent-Type: ");
        body.remove_prefix(body.find('\r'));
        take(body, "\r\nContent-Range: bytes ");
        const auto first = take_number(body);
        take(body, "-");
        const auto last = take_number(body);
        take(body, "/" + std::to_string(fuzz::file_bytes) + "\r\n\r\n");
        FLOW29_ASSERT(first <= last && last - first < body.size());
        check_bytes(body.substr(0, last - first + 1), first);
        body.remove_prefix(last - first + 1);
        take(body, "\r\n--");
        take(body, boundary);
        ranges.push_back({ByteCount(first), ByteCount(last + 1)});
    }
    FLOW29_ASSERT(ranges.size() > 1 && ranges.size() <= api::http_ranges_max &&
                  !api::do_overlap(ranges));
}

/// No answer can be made to say more headers than it has, and a body is what was promised.
void check_answer(const HttpRequest& request, HttpResponse response) {
    FLOW29_ASSERT(response.status >= 200 && response.status < 600 &&
                  is_clean(response.content_type));
    std::string content_range;
    for (const auto& [name, value] : response.headers) {
        FLOW29_ASSERT(is_clean(name) && is_clean(value));
        if (name == "Content-Range") content_range = value;
    }
    constexpr std::string_view parts = "multipart/byteranges; boundary=";
    const bool in_parts = response.content_type.starts_with(parts);
    FLOW29_ASSERT(!in_parts || (response.status == 206 && content_range.empty()));
    FLOW29_ASSERT(in_parts ||
                  (response.status == 206 || response.status == 416) == !content_range.empty());
    FLOW29_ASSERT(response.status != 304 || (response.body.empty() && !response.stream));
    if (request.method == "HEAD") FLOW29_ASSERT(!response.stream);
    if (!response.stream) return;
    if (response.is_endless) {
        const auto piece = response.stream->next();
        FLOW29_ASSERT(request.path == "/api/v1/events" && piece && !piece->empty());
        return;
    }
    std::string sent;
    while (const auto piece = response.stream->next()) {
        FLOW29_ASSERT(!piece->empty());
        sent.append(piece->begin(), piece->end());
    }
    FLOW29_ASSERT(sent.size() == response.stream_bytes);
    if (in_parts) return check_parts(sent, response.content_type.substr(parts.size()));
    std::uint64_t first = 0;
    if (response.status == 206)
        first = std::strtoull(content_range.c_str() + std::string("bytes ").size(), nullptr, 10);
    check_bytes(sent, first);
}

void check_ranges(const std::string& text) {
    const auto ranges = api::parse_http_ranges(text);
    FLOW29_ASSERT(ranges.size() <= api::http_ranges_max);
    std::string again = "bytes=";
    for (const auto& range : ranges) {
        FLOW29_ASSERT(range.first || range.last);
        FLOW29_ASSERT(!range.first || !range.last || *range.first <= *range.last);
        if (again.back() != '=') again += ',';
        if (range.first) again += std::to_string(*range.first);
        again += '-';
        if (range.last) again += std::to_string(*range.last);
    }
    const auto same = api::parse_http_ranges(again);
    FLOW29_ASSERT(same.size() == ranges.size());
    for (std::size_t i = 0; i < same.size(); ++i)
        FLOW29_ASSERT(same[i].first == ranges[i].first && same[i].last == ranges[i].last);
    for (const auto& range : api::satisfiable(ranges, ByteCount(fuzz::file_bytes)))
        FLOW29_ASSERT(!range.empty() && range.last.value <= fuzz::file_bytes);
}

/// Only what names the tag has a copy of it, and what fails names another.
void check_condition(const HttpRequest& request) {
    const std::string tag = "\"*\"";
    const auto condition = api::condition_of(request, tag);
    const auto has = [&](std::string_view header, std::string_view text) {
        return std::any_of(request.headers.begin(), request.headers.end(), [&](const auto& line) {
            return line.first == header && line.second.find(text) != std::string::npos;
        });
    };
    FLOW29_ASSERT(condition != api::Condition::has_copy || has("if-none-match", tag));
    FLOW29_ASSERT(condition != api::Condition::exists || has("if-none-match", "*"));
    FLOW29_ASSERT(condition != api::Condition::fails || has("if-match", ""));
}

}  // namespace

/// Requests to the page's server and to the gateway, as they come out of the HTTP library.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static std::optional<Servers> all;
    static bool is_used = true;  // what was uploaded would be there for the next input
    if (std::exchange(is_used, false)) all.emplace();
    auto& servers = *all;
    fuzz::Input input(data, size);
    const bool to_gateway = input.flag();
    const auto request = make_request(input, servers.page.token());
    for (const auto& [name, value] : request.headers)
        if (name == "range") check_ranges(value);
    check_ranges(input.text(60));
    check_condition(request);
    FLOW29_ASSERT(is_clean(api::content_disposition(input.text(60))));
    check_guard(request, input.flag());

    fuzz::asked().clear();
    const auto& handler = to_gateway ? servers.gateway_handler : servers.page_handler;
    check_answer(request, handler(request, {}));
    is_used = !to_gateway && request.method != "GET" && request.method != "HEAD";
    const auto token = request.header("x-flow29-token");
    const auto bearer = request.header("authorization");
    const bool trusted =
        token ? *token == servers.page.token() : bearer == "Bearer " + servers.page.token();
    for (const auto& asked : fuzz::asked()) {
        FLOW29_ASSERT(!asked.changes || (!to_gateway && request.method == "POST" && trusted));
        FLOW29_ASSERT(to_gateway || trusted || request.path == "/metrics");
    }
    return 0;
}
