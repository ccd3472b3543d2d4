// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flow29/ids.hpp>

#include "core/endpoint.hpp"

namespace flow29::api {

/// A request as it came in, its target split and percent-decoded.
struct HttpRequest {
    std::string method;
    std::string path;
    std::map<std::string, std::string> query;                  ///< the first of each name
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
    std::string body;  ///< of a POST or PATCH, where one is read
    /// The ends of the connection, where they are known.
    std::optional<core::Endpoint> client, server;
    /// Whether the client is a process of this user's or of root's on this machine; may be empty,
    /// and costs a look at all connections.
    std::function<bool()> is_of_same_user;

    /// The header's value when it came exactly once; `name` in lower case.
    [[nodiscard]] std::optional<std::string> header(std::string_view name) const;
    [[nodiscard]] std::size_t header_count(std::string_view name) const;
};

/// A body that is produced while it is sent. Called on one thread, and may block it.
class BodyStream {
  public:
    virtual ~BodyStream() = default;
    /// The next octets, never none of them; nothing when no more will come.
    [[nodiscard]] virtual std::optional<Bytes> next() = 0;
};

struct HttpResponse {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    /// Instead of `body`, when set; `stream_bytes` is its whole length. It may be null with a
    /// length for HEAD.
    std::shared_ptr<BodyStream> stream;
    std::uint64_t stream_bytes = 0;
    bool is_endless = false;  ///< the stream has no length; it is sent as it comes
};

/// Answers on a thread of the listener, several at a time. It may block, until `stop` comes.
using HttpHandler = std::function<HttpResponse(const HttpRequest&, const std::stop_token& stop)>;

/// Without blanks and tabs at either end.
[[nodiscard]] std::string_view trimmed(std::string_view text);

/// A plain sentence.
[[nodiscard]] HttpResponse http_text(int status, std::string text);

}  // namespace flow29::api
