// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <flow29/node.hpp>

#include "api/http_listener.hpp"
#include "api/router.hpp"

namespace flow29::api {

struct HttpServerOptions {
    std::filesystem::path token_file;  ///< written with mode 0600
    std::string gateway_url;           ///< the page links to it; empty: none
};

/// The page and what it is made of. Nothing here changes anything.
///
/// | path                                    | needs | answers                                  |
/// |-----------------------------------------|-------|------------------------------------------|
/// | /                                       |       | the page, with the token in it           |
/// | /api/v1/status, peers, ls, health?link= | token | the router's last line                   |
/// | /metrics                                |       | Prometheus text                          |
///
/// The token is new at each start. It comes in `X-Flow29-Token` or `Authorization: Bearer`, never
/// in a cookie: those ignore ports, so the gateway's content would have them. Clients of other
/// machines get a page without it.
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
    [[nodiscard]] HttpResponse api(const HttpRequest& request, const std::stop_token& stop);
    [[nodiscard]] HttpResponse metrics(const std::stop_token& stop);
    [[nodiscard]] bool has_token(const HttpRequest& request) const;

    Node& node_;      // owned by whoever made this
    Router& router_;  // likewise
    HttpServerOptions options_;
    std::string token_;
    HttpListener listener_;
};

}  // namespace flow29::api
