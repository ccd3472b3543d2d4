// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/gateway.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <flow29/link.hpp>

#include "api/cut_text.hpp"
#include "api/gateway_directory.hpp"
#include "api/http_condition.hpp"
#include "api/http_guard.hpp"
#include "api/http_status.hpp"
#include "api/object_stream.hpp"

namespace flow29::api {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view prefix = "/f/";
constexpr std::size_t threads = 16;
// A paused player takes nothing for a while; the node's own idle timeout is as long.
constexpr auto write_timeout = 60s;

// Locale-free.
std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

struct Extension {
    std::string_view name;
    std::string_view type;
};

constexpr std::string_view unknown_type = "application/octet-stream";
constexpr std::array extensions{
    Extension{"txt", "text/plain; charset=utf-8"},
    Extension{"md", "text/plain; charset=utf-8"},
    Extension{"log", "text/plain; charset=utf-8"},
    Extension{"csv", "text/csv; charset=utf-8"},
    Extension{"html", "text/html; charset=utf-8"},
    Extension{"htm", "text/html; charset=utf-8"},
    Extension{"css", "text/css; charset=utf-8"},
    Extension{"js", "text/javascript; charset=utf-8"},
    Extension{"json", "application/json"},
    Extension{"xml", "application/xml"},
    Extension{"pdf", "application/pdf"},
    Extension{"zip", "application/zip"},
    Extension{"gz", "application/gzip"},
    Extension{"png", "image/png"},
    Extension{"jpg", "image/jpeg"},
    Extension{"jpeg", "image/jpeg"},
    Extension{"gif", "image/gif"},
    Extension{"webp", "image/webp"},
    Extension{"avif", "image/avif"},
    Extension{"svg", "image/svg+xml"},
    Extension{"mp3", "audio/mpeg"},
    Extension{"ogg", "audio/ogg"},
    Extension{"opus", "audio/ogg"},
    Extension{"flac", "audio/flac"},
    Extension{"wav", "audio/wav"},
    Extension{"m4a", "audio/mp4"},
    Extension{"mp4", "video/mp4"},
    Extension{"m4v", "video/mp4"},
    Extension{"webm", "video/webm"},
    Extension{"mkv", "video/x-matroska"},
};

/// What is served may show itself, with what lies beside it, and be downloaded. It runs nothing,
/// sends nothing, and gets nothing from elsewhere, so that who published it does not learn who
/// reads it. With no origin of its own (`allow-same-origin`), browsers would give it no film,
/// picture or style from here either.
constexpr const char* content_policy =
    "sandbox allow-same-origin allow-downloads; default-src 'self' data: 'unsafe-inline'; "
    "script-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

HttpResponse refusal(const Error& error) {
    return http_text(http_status_of(error.code), error.message());
}

/// A directory has a page, at a place that ends in a slash.
HttpResponse refusal_or_redirect(const Error& error, const Link& link, const std::string& name) {
    if (error.code != Errc::is_directory) return refusal(error);
    HttpResponse response = http_text(301, "it is a directory");
    response.headers.emplace_back("Location", directory_url(link, link.path.empty() ? name : ""));
    response.headers.emplace_back("Accept-Ranges", "none");
    return response;
}

HttpResponse unsatisfiable(ByteCount length) {
    HttpResponse response = http_text(416, "the range lies outside the object");
    response.headers.emplace_back("Content-Range", fmt::format("bytes */{}", length.value));
    return response;
}

/// The header counts only when the copy it continues is this object, which a hash in If-Range
/// tells, and for GET (RFC 9110 §14.2): of a HEAD, the whole is described.
std::vector<HttpRange> ranges_of(const HttpRequest& request, const std::string& tag) {
    const auto header = request.header("range");
    if (!header || request.method != "GET") return {};
    if (request.header_count("if-range") != 0 && request.header("if-range") != tag) return {};
    return parse_http_ranges(*header);
}

void add_headers(HttpResponse& response, const std::string& tag, const std::string& name) {
    response.content_type = content_type_of(name);
    response.headers.emplace_back("ETag", tag);
    response.headers.emplace_back("Accept-Ranges", "bytes");
    // What a hash names never changes.
    response.headers.emplace_back("Cache-Control", "private, max-age=31536000, immutable");
    response.headers.emplace_back("Content-Security-Policy", content_policy);
    response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-site");
    const auto disposition = content_disposition(name);
    if (!disposition.empty()) response.headers.emplace_back("Content-Disposition", disposition);
}

}  // namespace

std::string_view content_type_of(std::string_view name) {
    const auto dot = name.rfind('.');
    if (dot == std::string_view::npos) return unknown_type;
    const std::string extension = lower(name.substr(dot + 1));
    for (const Extension& known : extensions)
        if (known.name == extension) return known.type;
    return unknown_type;
}

std::string content_disposition(std::string_view name) {
    // Only the last part, so that no client is led out of its folder.
    const auto slash = name.find_last_of('/');
    if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
    name = cut_text(name, name_bytes_max);
    if (name.empty() || name == "." || name == "..") return {};
    std::string ascii;
    std::string encoded;
    for (const char c : name) {
        const auto octet = static_cast<unsigned char>(c);
        // To some clients a backslash is a slash.
        const bool is_plain = octet >= 0x20 && octet < 0x7f && c != '"' && c != '%' && c != '\\';
        ascii += is_plain ? c : '_';
        if (is_alphanumeric(c) || c == '.' || c == '-' || c == '_')
            encoded += c;
        else if (c == '\\')
            encoded += '_';
        else
            encoded += fmt::format("%{:02X}", octet);
    }
    return fmt::format("inline; filename=\"{}\"; filename*=UTF-8''{}", ascii, encoded);
}

Gateway::Gateway(Node& node)
    : node_(node),
      listener_([this](const HttpRequest& request,
                       const std::stop_token& stop) { return answer(request, stop); },
                {.threads = threads, .write_timeout = write_timeout, .page_port = page_port_}) {}

Result<ByteCount> Gateway::length_of(const Link& link, const std::stop_token& stop) {
    ObjectStream stream(node_, link, {.range = {}, .head_only = true}, stop);
    const auto head = stream.wait_head();
    if (!head) return fail(head.error());
    return head->object_bytes;
}

HttpResponse Gateway::answer(const HttpRequest& request, const std::stop_token& stop) {
    if (!request.path.starts_with(prefix)) return http_text(404, "there is only /f/<root> here");
    const auto rest = std::string_view(request.path).substr(prefix.size());
    const auto slash = rest.find('/');
    const std::string text = lower(rest.substr(0, slash));
    // A link may say where to look; a page must not be able to have this node dial for it.
    if (!std::all_of(text.begin(), text.end(), is_alphanumeric))
        return http_text(400, "/f/ is followed by a root hash, and maybe a path in a directory");
    auto link = Link::parse(text);
    if (!link) return refusal(link.error());
    if (slash == std::string_view::npos) return answer_file(request, *link, text, stop);
    link->path = rest.substr(slash + 1);
    if (link->path.empty() || link->path.ends_with('/'))
        return answer_directory(node_, request, *link, stop);
    return answer_file(request, *link, text + '-' + tag_digest(link->path), stop);
}

HttpResponse Gateway::answer_file(const HttpRequest& request, const Link& link,
                                  const std::string& version, const std::stop_token& stop) {
    const auto tag = fmt::format("\"{}\"", version);
    const std::string name = name_in(request);
    HttpResponse response;
    add_headers(response, tag, name.empty() ? link.path : name);
    // What a browser has kept for one origin is not for another.
    response.headers.emplace_back("Vary", "Origin");
    if (is_of_page(request, *page_port_))
        response.headers.emplace_back("Access-Control-Allow-Origin", *request.header("origin"));
    const auto condition = condition_of(request, tag);
    if (condition == Condition::holds) {
        return answer_ranges(ranges_of(request, tag), link, std::move(response),
                             {request.method == "HEAD", name}, stop);
    }
    // Who names the tag has what the hash names, and needs nothing from here. The other conditions
    // are about something that exists.
    if (condition != Condition::has_copy) {
        const auto length = length_of(link, stop);
        if (!length) return refusal_or_redirect(length.error(), link, name);
    }
    if (condition == Condition::fails) return http_text(412, "it is not what If-Match names");
    response.status = 304;
    return response;
}

HttpResponse Gateway::answer_ranges(const std::vector<HttpRange>& asked, const Link& link,
                                    HttpResponse response, const AnswerOptions& options,
                                    const std::stop_token& stop) {
    std::optional<ByteRange> one;
    if (asked.size() == 1 && asked.front().first) {
        one = half_open(asked.front());  // needs no step of its own to know the length
    } else if (!asked.empty()) {
        const auto length = length_of(link, stop);
        if (!length) return refusal_or_redirect(length.error(), link, options.name);
        auto ranges = satisfiable(asked, *length);
        if (ranges.empty()) return unsatisfiable(*length);
        if (ranges.size() == 1) {
            one = ranges.front();
        } else if (!do_overlap(ranges)) {
            MultipartStream::Options parts{std::move(ranges), *length, response.content_type};
            return answer_parts(std::move(parts), link, std::move(response), stop);
        }
    }
    auto stream = std::make_shared<ObjectStream>(
        node_, link, ObjectStream::Options{one, options.head_only}, stop);
    const auto head = stream->wait_head();
    if (!head && one && head.error().code == Errc::usage) {
        const auto length = length_of(link, stop);
        return length ? unsatisfiable(*length) : refusal(length.error());
    }
    if (!head) return refusal_or_redirect(head.error(), link, options.name);

    if (one) {
        response.status = 206;
        response.headers.emplace_back("Content-Range",
                                      content_range(head->range, head->object_bytes));
    }
    response.stream_bytes = head->range.count().value;
    if (!options.head_only) response.stream = std::move(stream);
    return response;
}

HttpResponse Gateway::answer_parts(MultipartStream::Options parts, const Link& link,
                                   HttpResponse response, const std::stop_token& stop) {
    auto stream = std::make_shared<MultipartStream>(node_, link, std::move(parts), stop);
    const auto ready = stream->wait_head();
    if (!ready) return refusal(ready.error());
    response.status = 206;
    response.content_type = stream->content_type();
    response.stream_bytes = stream->length();
    response.stream = std::move(stream);
    return response;
}

}  // namespace flow29::api
