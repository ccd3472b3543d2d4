// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <flow29/node.hpp>

#include "api/http_listener.hpp"

namespace flow29::api {

/// A `Range` header with one range, both ends included as HTTP has them. A range without `first` is
/// the last `last` bytes.
struct HttpRange {
    std::optional<std::uint64_t> first;
    std::optional<std::uint64_t> last;
};
/// Nothing when there is none, several, or it is malformed: then the whole is served (RFC 9110
/// §14.2).
[[nodiscard]] std::optional<HttpRange> parse_http_range(std::string_view text);

/// By the extension of a name; application/octet-stream for what is not known.
[[nodiscard]] std::string_view content_type_of(std::string_view name);

/// `inline`, with the name made harmless, in ASCII and in UTF-8 (RFC 6266). Empty: no name.
[[nodiscard]] std::string content_disposition(std::string_view name);

/// Serves objects to browsers and players: `GET|HEAD /f/<root>[?name=…]`, streaming and verified,
/// with one `Range`, and what is in a directory at `/f/<root>/path`. A directory's own place ends
/// in a slash; it is a page, or JSON for who accepts that. It has a port, and so an origin, of its
/// own: what it serves is foreign, cannot reach the page's token, and is sandboxed.
class Gateway {
  public:
    /// `node` must outlive the gateway.
    explicit Gateway(Node& node);

    /// Begins to serve; port 0 picks one. Errors: other (the port is taken).
    [[nodiscard]] Result<core::Endpoint> listen(const core::Endpoint& at) {
        return listener_.listen(at);
    }
    /// Has the page at this port of the same host show files: what a browser gets for another
    /// origin's page it hands over only when it is told that it may.
    void let_in_page(std::uint16_t port) { *page_port_ = port; }

  private:
    [[nodiscard]] HttpResponse answer(const HttpRequest& request, const std::stop_token& stop);
    /// `version`: what the entity tag says.
    [[nodiscard]] HttpResponse answer_file(const HttpRequest& request, const Link& link,
                                           const std::string& version, const std::stop_token& stop);
    [[nodiscard]] Result<ByteCount> length_of(const Link& link, const std::stop_token& stop);

    Node& node_;  // owned by whoever made this
    std::shared_ptr<std::atomic<std::uint16_t>> page_port_ =
        std::make_shared<std::atomic<std::uint16_t>>(std::uint16_t{0});
    HttpListener listener_;
};

}  // namespace flow29::api
