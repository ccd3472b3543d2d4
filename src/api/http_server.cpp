// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_server.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <mutex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/http_status.hpp"
#include "api/json_results.hpp"
#include "api/metrics.hpp"
#include "api/page.hpp"
#include "api/unique_fd.hpp"
#include "core/identity.hpp"

namespace flow29::api {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t threads = 8;
constexpr auto answer_timeout = 90s;  // longer than any wait of the router's own
constexpr std::string_view api_prefix = "/api/v1/";
constexpr std::string_view json_type = "application/json";

struct Route {
    std::string_view method;
    std::string_view parameter;  ///< the one it takes and needs; none
    bool posts = false;          ///< it changes something; the parameter is a number
};
constexpr std::array routes{Route{"status", ""},
                            Route{"peers", ""},
                            Route{"ls", ""},
                            Route{"health", "link"},
                            Route{"block", ""},
                            Route{"limit", ""},
                            Route{"transfers", ""},
                            Route{"transfers/pause", "id", true},
                            Route{"transfers/resume", "id", true},
                            Route{"transfers/cancel", "id", true}};

/// A number where the router wants one; else the text, which the router refuses.
Json number_in(const std::string& text) {
    std::uint64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [read, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && read == end ? Json(number) : Json(text);
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

/// Something that another thread says once.
template <class T>
class Answer {
  public:
    void give(T value) {
        {
            const std::lock_guard lock(mutex_);
            value_ = std::move(value);
        }
        given_.notify_all();
    }
    /// Nothing when `stop` or the time-out came first.
    [[nodiscard]] std::optional<T> wait(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        given_.wait_for(lock, stop, answer_timeout, [this] { return value_.has_value(); });
        return std::move(value_);
    }

  private:
    std::mutex mutex_;
    std::condition_variable_any given_;
    std::optional<T> value_;
};

template <class T>
Result<T> ask(Node& node, void (Node::*question)(DoneFn<T>), const std::stop_token& stop) {
    const auto answer = std::make_shared<Answer<Result<T>>>();
    (node.*question)([answer](Result<T> result) { answer->give(std::move(result)); });
    auto got = answer->wait(stop);
    if (!got) return fail(Errc::timed_out, "the node does not answer");
    return std::move(*got);
}

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
    response.content_type = json_type;
    response.headers.emplace_back("Cache-Control", "no-store");
    response.body = std::move(line);
    return response;
}

HttpResponse json_error(int status, const Error& error) {
    HttpResponse response = json_response(error_line(error));
    response.status = status;
    return response;
}

bool is_loopback(const std::string& address) {
    const bool is_v6 = address.find(':') != std::string::npos;
    const auto endpoint = core::Endpoint::parse((is_v6 ? "[" + address + "]" : address) + ":1");
    return endpoint && endpoint->is_loopback();
}

}  // namespace

HttpServer::HttpServer(Node& node, Router& router, HttpServerOptions options)
    : node_(node),
      router_(router),
      options_(std::move(options)),
      token_(random_word()),
      listener_([this](const HttpRequest& request,
                       const std::stop_token& stop) { return answer(request, stop); },
                {.threads = threads, .post_prefix = "/api/v1/transfers/"}) {}

Result<core::Endpoint> HttpServer::listen(const core::Endpoint& at) {
    // First the file: whoever finds the port open finds the token that it takes.
    if (const auto written = write_secret(options_.token_file, token_ + "\n"); !written)
        return fail(written.error());
    auto listening = listener_.listen(at);
    if (!listening) ::unlink(options_.token_file.c_str());
    return listening;
}

bool HttpServer::has_token(const HttpRequest& request) const {
    if (const auto token = request.header("x-flow29-token")) return same_secret(*token, token_);
    constexpr std::string_view scheme = "Bearer ";
    const auto header = request.header("authorization");
    return header && header->starts_with(scheme) &&
           same_secret(std::string_view(*header).substr(scheme.size()), token_);
}

HttpResponse HttpServer::answer(const HttpRequest& request, const std::stop_token& stop) {
    if (request.path == "/") return page(request);
    if (request.path == "/metrics") return metrics(stop);
    if (request.path.starts_with(api_prefix)) return api(request, stop);
    return http_text(404, "not found");
}

HttpResponse HttpServer::page(const HttpRequest& request) const {
    const std::string nonce = random_word();
    HttpResponse response;
    response.content_type = "text/html; charset=utf-8";
    response.headers = {
        {"Cache-Control", "no-store"},
        {"Content-Security-Policy",
         fmt::format("default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; "
                     "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                     "frame-ancestors 'none'",
                     nonce)},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"}};
    response.body = page_html;
    fill_in(response.body, "{{nonce}}", nonce);
    fill_in(response.body, "{{gateway}}", options_.gateway_url);
    fill_in(response.body, "{{token}}", is_loopback(request.remote_address) ? token_ : "");
    return response;
}

HttpResponse HttpServer::api(const HttpRequest& request, const std::stop_token& stop) {
    if (!has_token(request)) {
        auto response = json_error(401, {Errc::refused, "the token is missing or wrong"});
        response.headers.emplace_back("WWW-Authenticate", "Bearer");
        return response;
    }
    const std::string method = request.path.substr(api_prefix.size());
    const auto* const route =
        std::find_if(routes.begin(), routes.end(),
                     [&](const Route& candidate) { return candidate.method == method; });
    if (route == routes.end())
        return json_error(
            404, {Errc::usage,
                  "no such route; status, peers, ls, block, limit, transfers, health?link="});
    if (route->posts != (request.method == "POST")) {
        auto response = json_error(405, {Errc::usage, "what changes something is a POST"});
        response.headers.emplace_back("Allow", route->posts ? "POST" : "GET, HEAD");
        return response;
    }
    Json params = Json::object();
    for (const auto& [name, value] : request.query) {
        if (name != route->parameter)
            return json_error(400, {Errc::usage, "unknown parameter \"" + name + "\""});
        params[name] = route->posts ? number_in(value) : Json(value);
    }

    Request call;
    call.method = method;
    call.params = params.dump(-1, ' ', false, Json::error_handler_t::replace);
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
