// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <flow29/node.hpp>

#include "api/http_listener.hpp"
#include "api/page_api.hpp"
#include "api/router.hpp"

namespace flow29::api {

struct HttpServerOptions {
    /// Written with mode 0600. What pages upload and fetch lies beside it.
    std::filesystem::path token_file;
    std::string gateway_url;  ///< the page links to it; empty: none
};

/// The page and what it is made of.
///
/// | path                                         | needs | answers                             |
/// |----------------------------------------------|-------|-------------------------------------|
/// | /, /app.js, /app.css                         |       | the page, with the token in it      |
/// | /api/v1/status, peers, ls, block, limit,     | token | the router's last line              |
/// |   transfers, health?link=, map?link=         |       |                                     |
/// | POST /api/v1/transfers/pause?id= (resume,    | token | likewise                            |
/// |   cancel), rm?link= (pin, unpin),            |       |                                     |
/// |   repair?link=, limit?up=&down=&repair=      |       |                                     |
/// | /api/v1/events, uploads, fetch, jobs         | token | see PageApi                         |
/// | /metrics                                     |       | Prometheus text                     |
///
/// Nothing changes anything but a POST or PATCH with the token.
///
/// The token is new at each start. It comes in `X-Flow29-Token` or `Authorization: Bearer`, never
/// in a cookie: those ignore ports, so the gateway's content would have them. Clients of other
/// machines and of other users get a page without it, which takes it from `#token=` in its address.
class HttpServer {
  public:
    /// `node` and `router` must outlive the server.
    HttpServer(Node& node, Router& router, HttpServerOptions options);

    /// Writes the token and begins to serve; port 0 picks one. Errors: other (the port is taken),
    /// file_error.
    [[nodiscard]] Result<core::Endpoint> listen(const core::Endpoint& at);

    [[nodiscard]] const std::string& token() const { return token_; }

  private:
    [[nodiscard]] HttpResponse answer(const HttpRequest& request, const std::stop_token& stop);
    [[nodiscard]] HttpResponse page(const HttpRequest& request) const;
    /// The refusal of a request without the token.
    [[nodiscard]] std::optional<HttpResponse> refuse_stranger(const HttpRequest& request) const;
    [[nodiscard]] HttpResponse api(const HttpRequest& request, const std::stop_token& stop);
    [[nodiscard]] HttpResponse metrics(const std::stop_token& stop);
    [[nodiscard]] bool has_token(const HttpRequest& request) const;

    Node& node_;      // owned by whoever made this
    Router& router_;  // likewise
    HttpServerOptions options_;
    std::string token_;
    PageApi page_api_;
    HttpListener listener_;
};

}  // namespace flow29::api
