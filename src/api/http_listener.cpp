// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_listener.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <thread>

#include <httplib.h>
#include <flow29/limits.hpp>

#include "api/http_connection.hpp"
#include "api/http_guard.hpp"
#include "api/same_user.hpp"
#include "api/unique_fd.hpp"
#include "core/log.hpp"

namespace flow29::api {
namespace {

using namespace std::chrono_literals;

constexpr const char* any_path = R"([^]*)";

constexpr std::size_t unread_bytes_max = 4'096;

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

/// One end of a connection, as the library names it.
std::optional<core::Endpoint> end_of(const std::string& address, int port) {
    const bool is_v6 = address.find(':') != std::string::npos;
    const auto end = core::Endpoint::parse((is_v6 ? "[" + address + "]:" : address + ":") +
                                           std::to_string(port));
    return end ? std::optional(*end) : std::nullopt;
}

HttpRequest taken_from(const httplib::Request& request) {
    HttpRequest out;
    out.method = request.method;
    out.path = request.path;
    out.query.insert(request.params.begin(), request.params.end());
    for (const auto& [name, value] : request.headers) {
        // The library adds these to what came.
        if (name == "REMOTE_ADDR" || name == "REMOTE_PORT" || name == "LOCAL_ADDR" ||
            name == "LOCAL_PORT")
            continue;
        out.headers.emplace_back(lower(name), value);
    }
    out.client = end_of(request.remote_addr, request.remote_port);
    out.server = end_of(request.local_addr, request.local_port);
    out.is_of_same_user = [client = out.client, server = out.server] {
        return client && server && is_of_same_user({*client, *server});
    };
    return out;
}

tl::unexpected<Error> cannot_listen(const core::Endpoint& at) {
    const int reason = errno;
    return fail(Errc::other,
                "cannot listen on " + at.to_string() +
                    (reason != 0 ? ": " + std::generic_category().message(reason) : std::string()));
}

/// Whether a body follows whose end is known: the library would read one without a length until the
/// client closes.
bool has_length(const HttpRequest& request) {
    const auto length = request.header("content-length");
    return (request.method == "POST" || request.method == "PATCH") && length && *length != "0";
}

/// Feeds the library from a stream. A stream that ends early breaks the connection off, so that
/// the client sees that something is missing.
httplib::ContentProvider provider_of(std::shared_ptr<BodyStream> stream) {
    return [stream = std::move(stream)](std::size_t, std::size_t left, httplib::DataSink& sink) {
        const auto bytes = stream->next();
        if (!bytes || bytes->empty() || bytes->size() > left) return false;
        return sink.write(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    };
}

/// The same without a length.
httplib::ContentProviderWithoutLength endless_provider_of(std::shared_ptr<BodyStream> stream) {
    return [stream = std::move(stream)](std::size_t, httplib::DataSink& sink) {
        const auto bytes = stream->next();
        if (!bytes || bytes->empty()) return false;
        return sink.write(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    };
}

/// Left to the library, a Range would also cut error pages. The object is the server's own and not
/// const there.
void drop_ranges(const httplib::Request& request) {
    const_cast<httplib::Request&>(request).ranges.clear();
}

constexpr const char* mark = "X-Content-Type-Options";

/// Whether `put_into` made it, rather than the library.
bool is_ours(const httplib::Response& response) {
    return response.has_header(mark);
}

void put_into(httplib::Response& out, HttpResponse response) {
    out.status = response.status;
    out.set_header(mark, "nosniff");
    out.set_header("Referrer-Policy", "no-referrer");
    for (const auto& [name, value] : response.headers)
        out.set_header(name, value);
    if (response.is_endless) {
        out.set_chunked_content_provider(response.content_type,
                                         endless_provider_of(std::move(response.stream)));
    } else if (response.stream_bytes > 0) {
        out.set_content_provider(
            response.stream_bytes, response.content_type,
            response.stream ? provider_of(std::move(response.stream))
                            : [](std::size_t, std::size_t, httplib::DataSink&) { return false; });
    } else if (response.status != 304) {
        out.set_content(response.body, response.content_type);
    }
}

/// Of this thread: what it is to serve is closed instead.
thread_local bool is_closing = false;

/// The library's threads, with a bound for what waits until they serve it.
class BoundedQueue final : public httplib::TaskQueue {
  public:
    explicit BoundedQueue(std::size_t threads) : threads_(threads) {}

    void enqueue(std::function<void()> serve) override {
        if (waiting_.fetch_add(1) < limits::http_connections_waiting_max)
            return threads_.enqueue([this, serve = std::move(serve)] {
                --waiting_;
                serve();
            });
        --waiting_;
        is_closing = true;
        serve();
        is_closing = false;
    }
    void shutdown() override { threads_.shutdown(); }

  private:
    httplib::ThreadPool threads_;
    std::atomic<std::size_t> waiting_ = 0;
};

/// The library's server, with bounds for what a client sends, and a hold on its connections.
class BoundedServer final : public httplib::Server {
  public:
    void set_bounds(HttpConnection::Bounds bounds) { bounds_ = bounds; }

    /// The library waits for a client that reads nothing until its time is up.
    void shut_connections() {
        const std::lock_guard lock(mutex_);
        is_shut_ = true;
        for (const int socket : sockets_)
            ::shutdown(socket, SHUT_RDWR);
    }

  private:
    /// On a thread of the library's pool; the socket becomes ours.
    bool process_and_close_socket(socket_t socket) override {
        const UniqueFd owned(socket);
        if (is_closing) return false;
        {
            const std::lock_guard lock(mutex_);
            if (is_shut_) return false;
            sockets_.insert(socket);
        }
        HttpConnection connection(socket, bounds_);
        bool is_closed = false;
        const bool ok =
            connection.has_begun() && process_request(connection, true, is_closed, nullptr);
        ::shutdown(socket, SHUT_RDWR);
        const std::lock_guard lock(mutex_);
        sockets_.erase(socket);
        return ok;
    }

    HttpConnection::Bounds bounds_{};
    std::mutex mutex_;
    std::set<int> sockets_;  // being served
    bool is_shut_ = false;
};

}  // namespace

struct HttpListener::State {
    HttpHandler handler;
    HttpListenerOptions options;
    core::Endpoint at;
    BoundedServer server;
    std::stop_source stop;
    std::atomic<bool> ended = false;
    std::thread thread;

    void configure() {
        // The library's default lets two processes share a port, and each get some of the requests.
        server.set_socket_options([](int socket) {
            const int on = 1;
            ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        });
        // One request a connection: an idle one would hold a thread, and the unread body of a
        // refused request would be taken for the next request.
        const auto body_bytes = std::max(unread_bytes_max, options.body_bytes_max);
        server.set_payload_max_length(body_bytes);
        server.set_bounds({.head_bytes = limits::http_head_bytes_max,
                           .body_bytes = body_bytes,
                           .head_time = limits::http_head_time_max,
                           .read_time = 5s,
                           .write_time = options.write_timeout});
        server.set_tcp_nodelay(true);
        server.new_task_queue = [this] {
            return new BoundedQueue(options.threads);  // the server deletes it
        };
        server.set_pre_routing_handler([this](const auto& request, auto& response) {
            return look_at(request, response) ? httplib::Server::HandlerResponse::Unhandled
                                              : httplib::Server::HandlerResponse::Handled;
        });
        // Only what look_at lets through gets here, once its body is read.
        const auto answer = [this](const httplib::Request& request, httplib::Response& response) {
            HttpRequest taken = taken_from(request);
            taken.body = request.body;
            put_into(response, handler(taken, stop.get_token()));
        };
        server.Post(any_path, answer);
        server.Patch(any_path, answer);
        server.set_exception_handler([](const auto&, auto& response, std::exception_ptr) {
            put_into(response, http_text(500, "internal error"));
        });
        // The length of a 304 is that of the 200 (RFC 9110 §8.6), and the library would say 0.
        server.set_post_routing_handler([](const auto&, auto& response) {
            if (response.status == 304) response.headers.erase("Content-Length");
        });
        server.set_error_handler(httplib::Server::HandlerWithResponse(
            [this](const httplib::Request& request, httplib::Response& response) {
                if (is_ours(response)) return httplib::Server::HandlerResponse::Unhandled;
                replace_error(request, response);
                return httplib::Server::HandlerResponse::Handled;
            }));
    }

    /// What the library refused before anybody was asked. A Range that it cannot read is one to be
    /// ignored (RFC 9110 §14.2): then the request is answered after all.
    void replace_error(const httplib::Request& request, httplib::Response& response) {
        drop_ranges(request);
        if (response.status != 416)
            return put_into(response, http_text(response.status, "the request cannot be read"));
        try {
            // No body is read any more.
            if (look_at(request, response))
                put_into(response, http_text(400, "a Range goes with GET only"));
        } catch (const std::exception& error) {  // beyond the reach of the library's own handler
            core::log::error("web", "no answer to {}: {}", request.path, error.what());
            put_into(response, http_text(500, "internal error"));
        }
    }

    /// Answers, or says that the body is to be read first.
    bool look_at(const httplib::Request& request, httplib::Response& response) {
        drop_ranges(request);
        const HttpRequest taken = taken_from(request);
        const bool has_body = options.body_bytes_max > 0 && has_length(taken);
        const std::uint16_t page_port = options.page_port ? options.page_port->load() : 0;
        auto refusal = refuse_foreign(taken, at, may_change(taken), page_port);
        if (!refusal && has_body && options.refuse_body) refusal = options.refuse_body(taken);
        if (!refusal && has_body) return true;
        put_into(response, refusal ? std::move(*refusal) : handler(taken, stop.get_token()));
        return false;
    }

    [[nodiscard]] bool may_change(const HttpRequest& request) const {
        const auto is_below = [&](const std::string& prefix) {
            return !prefix.empty() && request.path.starts_with(prefix);
        };
        return (request.method == "POST" && is_below(options.post_prefix)) ||
               (request.method == "PATCH" && is_below(options.patch_prefix));
    }
};

HttpListener::HttpListener(HttpHandler handler, HttpListenerOptions options)
    : state_(std::make_unique<State>()) {
    state_->handler = std::move(handler);
    state_->options = std::move(options);
    state_->configure();
}

HttpListener::~HttpListener() {
    if (!state_->thread.joinable()) return;
    state_->stop.request_stop();
    state_->server.stop();
    state_->server.shut_connections();
    state_->thread.join();
}

Result<core::Endpoint> HttpListener::listen(const core::Endpoint& at) {
    State& state = *state_;
    state.at = at;
    errno = 0;
    if (at.port == 0) {
        const int port = state.server.bind_to_any_port(at.host());
        if (port <= 0) return cannot_listen(at);
        state.at.port = static_cast<std::uint16_t>(port);
    } else if (!state.server.bind_to_port(at.host(), at.port)) {
        return cannot_listen(at);
    }
    state.thread = std::thread([&state] {
        if (!state.server.listen_after_bind() && !state.stop.stop_requested())
            core::log::error("web", "no longer listening on {}", state.at.to_string());
        state.ended = true;
    });
    // `stop` has no effect on a server that does not run yet.
    while (!state.server.is_running() && !state.ended)
        std::this_thread::sleep_for(1ms);
    return state.at;
}

}  // namespace flow29::api
