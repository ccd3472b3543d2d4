// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_server.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/ask.hpp"
#include "api/http_json.hpp"
#include "api/json_results.hpp"
#include "api/metrics.hpp"
#include "api/page.hpp"
#include "api/unique_fd.hpp"
#include "core/identity.hpp"

namespace flow29::api {
namespace {

constexpr std::size_t threads = 10 + limits::event_streams_max;  // a stream keeps one
constexpr std::string_view api_prefix = "/api/v1/";

enum class Form : std::uint8_t { text, number };
struct Parameter {
    std::string_view name;
    Form form = Form::text;
};
/// A path of the API and what the router is asked for it.
struct Route {
    std::string_view path;
    std::vector<Parameter> parameters{};
    bool posts = false;         ///< it changes something
    std::string_view method{};  ///< the router's; none: the path
};

const std::vector<Route>& routes() {
    static const std::vector<Route> all{
        {"status"},
        {"peers"},
        {"ls"},
        {"health", {{"link"}}},
        {"map", {{"link"}}},
        {"block"},
        {"limit"},
        {"log", {{"level"}, {"after", Form::number}, {"count", Form::number}}},
        {"invite"},
        {"join", {{"invite"}}, true},
        {"transfers"},
        {"transfers/pause", {{"id", Form::number}}, true},
        {"transfers/resume", {{"id", Form::number}}, true},
        {"transfers/cancel", {{"id", Form::number}}, true},
        {"rm", {{"link"}}, true},
        {"pin", {{"link"}}, true},
        {"unpin", {{"link"}}, true},
        {"repair", {{"link"}}, true, "health"},
        {"limit", {{"up", Form::number}, {"down", Form::number}, {"repair", Form::number}}, true}};
    return all;
}

/// A number where the router wants one; else the text, which the router refuses.
Json number_in(const std::string& text) {
    std::uint64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [read, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && read == end ? Json(number) : Json(text);
}

/// What the router is asked. Errors: usage (a parameter that the route does not have).
Result<Json> params_of(const Route& route, const HttpRequest& request) {
    Json params = Json::object();
    for (const auto& [name, value] : request.query) {
        const auto known = std::ranges::find(route.parameters, name, &Parameter::name);
        if (known == route.parameters.end())
            return fail(Errc::usage, "unknown parameter \"" + name + "\"");
        params[name] = known->form == Form::number ? number_in(value) : Json(value);
    }
    if (route.path == "repair") params["repair"] = true;
    return params;
}

std::string random_word() {
    std::array<std::uint8_t, 32> octets{};
    core::random_bytes(octets);
    return to_hex(octets);
}

/// Takes as long whatever is wrong, so that a guess cannot be improved octet by octet.
bool same_secret(std::string_view given, std::string_view secret) {
    if (given.size() != secret.size()) return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < secret.size(); ++i)
        difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(secret[i]);
    return difference == 0;
}

Result<void> write_secret(const std::filesystem::path& path, std::string_view text) {
    // A fresh file: one that is there keeps its mode and whoever has it open.
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return fail_errno(errno, "cannot replace " + path.string());
    const UniqueFd file(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return fail_errno(errno, "cannot create " + path.string());
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return fail_errno(errno, "cannot write " + path.string());
    return {};
}

void fill_in(std::string& page, std::string_view place, std::string_view value) {
    for (auto at = page.find(place); at != std::string::npos;
         at = page.find(place, at + value.size()))
        page.replace(at, place.size(), value);
}

HttpResponse asset(const char* content_type, std::string_view content) {
    HttpResponse response;
    response.content_type = content_type;
    response.headers = {{"Cache-Control", "no-store"},
                        {"Cross-Origin-Resource-Policy", "same-origin"}};
    response.body = content;
    return response;
}

/// The gateway by the name that the page has: to a browser 127.0.0.1 and localhost are different
/// sites, and what the gateway serves is for its own.
std::string gateway_beside(const std::string& url, const HttpRequest& request) {
    constexpr std::string_view scheme = "http://";
    const auto host = request.header("host").value_or("");
    const auto endpoint = core::Endpoint::parse(url.substr(std::min(url.size(), scheme.size())));
    if (!endpoint || !endpoint->is_loopback() || !host.starts_with("localhost")) return url;
    return fmt::format("{}localhost:{}", scheme, endpoint->port);
}

}  // namespace

HttpServer::HttpServer(Node& node, Router& router, HttpServerOptions options)
    : node_(node),
      router_(router),
      options_(std::move(options)),
      token_(random_word()),
      page_api_(node, router, options_.token_file.parent_path()),
      listener_([this](const HttpRequest& request,
                       const std::stop_token& stop) { return answer(request, stop); },
                {.threads = threads,
                 .post_prefix = std::string(api_prefix),
                 .patch_prefix = std::string(api_prefix) + "uploads/",
                 .body_bytes_max = limits::upload_slice_bytes_max,
                 .refuse_body = [this](const HttpRequest& request) {
                     return refuse_stranger(request);
                 }}) {}

Result<core::Endpoint> HttpServer::listen(const core::Endpoint& at) {
    // First the file: whoever finds the port open finds the token that it takes.
    if (const auto written = write_secret(options_.token_file, token_ + "\n"); !written)
        return fail(written.error());
    auto listening = listener_.listen(at);
    if (listening)
        page_api_.resume();
    else
        ::unlink(options_.token_file.c_str());
    return listening;
}

bool HttpServer::has_token(const HttpRequest& request) const {
    if (const auto token = request.header("x-flow29-token")) return same_secret(*token, token_);
    constexpr std::string_view scheme = "Bearer ";
    const auto header = request.header("authorization");
    return header && header->starts_with(scheme) &&
           same_secret(std::string_view(*header).substr(scheme.size()), token_);
}

std::optional<HttpResponse> HttpServer::refuse_stranger(const HttpRequest& request) const {
    if (has_token(request)) return std::nullopt;
    auto response = json_error(401, {Errc::refused,
                                     "the token is missing or wrong; `flow29 web` opens the page "
                                     "with it"});
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
}

HttpResponse HttpServer::answer(const HttpRequest& request, const std::stop_token& stop) {
    if (request.path.starts_with(api_prefix)) return api(request, stop);
    if (request.method != "GET" && request.method != "HEAD") return http_text(404, "not found");
    if (request.path == "/") return page(request);
    if (request.path == "/app.js") return asset("text/javascript; charset=utf-8", page_script);
    if (request.path == "/app.css") return asset("text/css; charset=utf-8", page_style);
    if (request.path == "/metrics") return metrics(stop);
    return http_text(404, "not found");
}

HttpResponse HttpServer::page(const HttpRequest& request) const {
    HttpResponse response = asset("text/html; charset=utf-8", page_html);
    const std::string gateway = gateway_beside(options_.gateway_url, request);
    // Pictures, films and sound of the gateway are shown: nothing of them runs. Nothing else of it
    // is.
    response.headers.emplace_back(
        "Content-Security-Policy",
        fmt::format("default-src 'none'; script-src 'self'; style-src 'self'; "
                    "connect-src 'self'; img-src data: {0}; media-src {1}; base-uri 'none'; "
                    "form-action 'none'; frame-ancestors 'none'",
                    gateway, gateway.empty() ? "'none'" : gateway));
    response.headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
    fill_in(response.body, "{{gateway}}", gateway);
    const bool is_own = request.client && request.client->is_loopback() &&
                        request.is_of_same_user && request.is_of_same_user();
    fill_in(response.body, "{{token}}", is_own ? token_ : "");
    return response;
}

HttpResponse HttpServer::api(const HttpRequest& request, const std::stop_token& stop) {
    if (auto refusal = refuse_stranger(request)) return std::move(*refusal);
    const std::string path = request.path.substr(api_prefix.size());
    if (auto answer = page_api_.answer(request, path, stop)) return std::move(*answer);
    const bool posts = request.method == "POST";
    const bool is_known = std::ranges::count(routes(), path, &Route::path) > 0;
    if (!is_known)
        return json_error(404, {Errc::usage,
                                "no such route; status, peers, ls, block, limit, log, "
                                "transfers, health?link=, map?link="});
    const auto route = std::ranges::find_if(routes(), [&](const Route& candidate) {
        return candidate.path == path && candidate.posts == posts;
    });
    if (route == routes().end()) {
        auto response = json_error(405, {Errc::usage, "what changes something is a POST"});
        response.headers.emplace_back("Allow", posts ? "GET, HEAD" : "POST");
        return response;
    }
    const auto params = params_of(*route, request);
    if (!params) return json_error(params.error());

    Request call;
    call.method = route->method.empty() ? path : std::string(route->method);
    call.params = params->dump(-1, ' ', false, Json::error_handler_t::replace);
    call.stop = stop;
    const auto answer = std::make_shared<Answer<std::string>>();
    router_.call(std::move(call), [answer](std::string line, bool last) {
        if (last) answer->give(std::move(line));
    });
    auto line = answer->wait(stop);
    if (!line) return json_error(504, {Errc::timed_out, "the node does not answer"});
    return json_response(std::move(*line));
}

HttpResponse HttpServer::metrics(const std::stop_token& stop) {
    const auto status = ask(node_, &Node::status, stop);
    const auto peers = ask(node_, &Node::peers, stop);
    const auto objects = ask(node_, &Node::objects, stop);
    if (!status || !peers || !objects) return http_text(503, "the node does not answer");
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.headers.emplace_back("Cache-Control", "no-store");
    response.body = metrics_text(*status, *peers, *objects);
    return response;
}

}  // namespace flow29::api
