// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/gateway_directory.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>

#include <flow29/limits.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/http_status.hpp"
#include "api/json_results.hpp"

namespace flow29::api {
namespace {

constexpr std::string_view scheme = "flow29:";

/// Waits for the node's answer, or for `stop`.
class WaitedListing {
  public:
    [[nodiscard]] static Result<Listing> wait(Node& node, const Link& link,
                                              const std::stop_token& stop) {
        const auto state = std::make_shared<State>();
        ListRequest request;
        request.link = link;
        request.stop = stop;
        node.list(std::move(request), {}, [state](Result<Listing> result) {
            {
                const std::lock_guard lock(state->mutex);
                state->result.emplace(std::move(result));
            }
            state->changed.notify_all();
        });
        std::unique_lock lock(state->mutex);
        const auto ready = [&state] { return state->result.has_value(); };
        if (!state->changed.wait(lock, stop, ready))
            return fail(Errc::interrupted, "the node is stopping");
        return std::move(*state->result);
    }

  private:
    struct State {
        std::mutex mutex;
        std::condition_variable_any changed;
        std::optional<Result<Listing>> result;  // guarded by mutex
    };
};

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

/// What stands directly in a directory.
struct Child {
    bool is_directory = false;
    std::uint64_t files = 0;
    ByteCount bytes;
};

std::map<std::string, Child> children_of(const Listing& listing) {
    std::map<std::string, Child> children;
    for (const DirectoryEntry& entry : listing.entries) {
        if (entry.path.size() <= listing.path.size()) continue;  // the directory itself, empty
        const auto inside = std::string_view(entry.path).substr(listing.path.size());
        const auto slash = inside.find('/');
        const bool is_empty = entry.type == EntryType::empty_directory;
        Child& child = children[std::string(inside.substr(0, slash))];
        child.is_directory = is_empty || slash != std::string_view::npos;
        child.files += is_empty ? 0 : 1;
        child.bytes += entry.length;
    }
    return children;
}

bool wants_json(const HttpRequest& request) {
    const auto accept = request.header("accept");
    return accept && accept->find("application/json") != std::string::npos &&
           accept->find("text/html") == std::string::npos;
}

constexpr std::string_view page_head =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<style>body{font:16px/1.5 sans-serif;margin:2em auto;max-width:50em;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.1em .5em;text-align:left;"
    "overflow-wrap:anywhere}td+td,th+th{text-align:right;white-space:nowrap}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8cf}}"
    "</style>\n";

}  // namespace

std::string url_of(const Link& link) {
    Link bare;
    bare.root = link.root;
    bare.path = link.path;
    return "/f/" + bare.to_string().substr(scheme.size());
}

std::string directory_page(const Listing& listing) {
    const auto children = children_of(listing);
    const auto title = listing.path.empty() ? to_base32(listing.root) : listing.path;
    std::string page(page_head);
    page += fmt::format("<title>{0}</title></head><body><h1>{0}</h1>\n", escaped(title));
    page += "<table><tr><th>Name</th><th>Bytes</th></tr>\n";
    Link link;
    link.root = listing.root;
    if (!listing.path.empty()) {
        const auto above = listing.path.substr(0, listing.path.size() - 1);
        link.path = above.substr(0, above.rfind('/') + 1);
        const auto url = link.path.empty() ? url_of(link) + '/' : url_of(link);
        page += fmt::format("<tr><td><a href=\"{}\">..</a></td><td></td></tr>\n", url);
    }
    std::size_t rows = 0;
    for (const auto& [name, child] : children) {
        if (++rows > limits::directory_rows_max) break;
        const std::string_view end = child.is_directory ? "/" : "";
        link.path = listing.path + name;
        page += fmt::format("<tr><td><a href=\"{0}{1}\">{2}{1}</a></td><td>{3}</td></tr>\n",
                            url_of(link), end, escaped(name), child.bytes.value);
    }
    page += "</table>\n";
    if (children.size() > limits::directory_rows_max)
        page += fmt::format("<p>and {} more; <code>flow29 ls</code> lists them all</p>\n",
                            children.size() - limits::directory_rows_max);
    page += "</body></html>\n";
    return page;
}

HttpResponse answer_directory(Node& node, const HttpRequest& request, const Link& link,
                              const std::stop_token& stop) {
    const auto listing = WaitedListing::wait(node, link, stop);
    if (!listing) return http_text(http_status_of(listing.error().code), listing.error().message());
    HttpResponse response;
    const bool as_json = wants_json(request);
    response.content_type = as_json ? "application/json" : "text/html; charset=utf-8";
    response.body = as_json ? listing_line(*listing) : directory_page(*listing);
    response.headers.emplace_back("Vary", "Accept");
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("Content-Security-Policy",
                                  "sandbox; default-src 'none'; style-src 'unsafe-inline'");
    response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-site");
    return response;
}

}  // namespace flow29::api
