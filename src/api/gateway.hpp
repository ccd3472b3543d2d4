// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/node.hpp>

#include "api/http_listener.hpp"
#include "api/http_range.hpp"
#include "api/multipart_stream.hpp"

namespace flow29::api {

/// By the extension of a name; application/octet-stream for what is not known.
[[nodiscard]] std::string_view content_type_of(std::string_view name);

/// `inline`, with the name made harmless, in ASCII and in UTF-8 (RFC 6266). Empty: no name.
[[nodiscard]] std::string content_disposition(std::string_view name);

/// Serves objects to browsers and players: `GET|HEAD /f/<root>[?name=…]`, streaming and verified,
/// and what is in a directory at `/f/<root>/path`. A directory's own place ends in a slash; it is a
/// page, or JSON for who accepts that. It has a port, and so an origin, of its own: what it serves
/// is foreign, cannot reach the page's token, and is sandboxed.
///
/// Rules of `Range`:
/// - One range is 206; several are 206 in parts, in the order asked.
/// - Those that lie outside are left out; when all do, 416 says how long the object is.
/// - Ranges that overlap or are too many are 200 with the whole: each is a stream of its own here,
///   and several times as much to be sent for one request.
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
    struct AnswerOptions {
        bool head_only = false;
        std::string name;  ///< as the request has it
    };
    /// `response` has what is the same for any range. None asked: the whole.
    [[nodiscard]] HttpResponse answer_ranges(const std::vector<HttpRange>& asked, const Link& link,
                                             HttpResponse response, const AnswerOptions& options,
                                             const std::stop_token& stop);
    [[nodiscard]] HttpResponse answer_parts(MultipartStream::Options parts, const Link& link,
                                            HttpResponse response, const std::stop_token& stop);
    [[nodiscard]] Result<ByteCount> length_of(const Link& link, const std::stop_token& stop);

    Node& node_;  // owned by whoever made this
    std::shared_ptr<std::atomic<std::uint16_t>> page_port_ =
        std::make_shared<std::atomic<std::uint16_t>>(std::uint16_t{0});
    HttpListener listener_;
};

}  // namespace flow29::api
