// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <flow29/error.hpp>

#include "api/http_message.hpp"
#include "core/endpoint.hpp"

namespace flow29::api {

struct HttpListenerOptions {
    std::size_t threads = 8;                 ///< requests answered at the same time
    std::chrono::seconds write_timeout{10};  ///< a client that takes nothing is dropped
    std::string post_prefix{};   ///< below this path, POST is let through; none: nowhere
    std::string patch_prefix{};  ///< likewise PATCH
    /// Bodies up to this are read, of requests that pass `refuse_body`; 0: none is.
    std::size_t body_bytes_max = 0;
    /// Asked before a body is read, so that a stranger's takes no memory. The refusal, if any.
    std::function<std::optional<HttpResponse>(const HttpRequest&)> refuse_body{};
    /// A page at this port of the same host may ask as well; null or 0: none.
    std::shared_ptr<const std::atomic<std::uint16_t>> page_port{};
};

/// HTTP/1.1 on one address, one request a connection, on threads of its own. Requests that do not
/// pass `refuse_foreign` never reach the handler. Every answer carries nosniff and no-referrer.
class HttpListener {
  public:
    HttpListener(HttpHandler handler, HttpListenerOptions options);
    /// Cancels what runs and waits for it.
    ~HttpListener();
    HttpListener(const HttpListener&) = delete;
    HttpListener& operator=(const HttpListener&) = delete;

    /// Begins to serve; port 0 picks one. Once only. Errors: other (the port is taken).
    [[nodiscard]] Result<core::Endpoint> listen(const core::Endpoint& at);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace flow29::api
