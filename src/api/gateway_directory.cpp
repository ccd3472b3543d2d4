// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/gateway_directory.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>

#include <flow29/limits.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/http_condition.hpp"
#include "api/http_status.hpp"
#include "api/json_results.hpp"
#include "core/printable.hpp"
#include "core/size_text.hpp"

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

/// As it may stand in a page.
std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : core::printable(text)) {
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

/// What is at the place that was listed, if it is no directory.
bool is_file(const Result<Listing>& listing, const Link& place) {
    if (!listing) return place.path.empty() && listing.error().code == Errc::usage;
    return listing->entries.size() == 1 && listing->entries.front().path == place.path &&
           listing->entries.front().type != EntryType::empty_directory;
}

constexpr std::string_view page_head =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<style>body{font:16px/1.5 sans-serif;margin:2em auto;max-width:50em;padding:0 1em}"
    "h1,p,td,th{overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.1em .5em;text-align:left}"
    "td+td,th+th{text-align:right;white-space:nowrap}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8cf}}"
    "</style>\n";

}  // namespace

std::string url_of(const Link& link) {
    Link bare;
    bare.root = link.root;
    bare.path = link.path;
    return "/f/" + bare.to_string().substr(scheme.size());
}

std::string name_in(const HttpRequest& request) {
    const auto named = request.query.find("name");
    return named == request.query.end() ? std::string() : named->second;
}

std::string directory_url(const Link& link, const std::string& name) {
    std::string url = url_of(link);
    if (!url.ends_with('/')) url += '/';
    if (name.size() > name_bytes_max) return url;
    Link named;
    named.name = name;
    const auto text = named.to_string();
    return url + text.substr(std::min(text.find('?'), text.size()));
}

std::string directory_page(const Listing& listing, const std::string& name) {
    const auto children = children_of(listing);
    const std::string title = !listing.path.empty() ? listing.path
                              : !name.empty()       ? name
                                                    : "Directory";
    std::string page(page_head);
    page += fmt::format("<title>{0}</title></head><body><h1>{0}</h1>\n", escaped(title));
    if (listing.path.empty())
        page += fmt::format("<p><small>{}</small></p>\n", to_base32(listing.root));
    page += "<table><tr><th>Name</th><th>Size</th></tr>\n";
    Link link;
    link.root = listing.root;
    if (!listing.path.empty()) {
        const auto above = listing.path.substr(0, listing.path.size() - 1);
        link.path = above.substr(0, above.rfind('/') + 1);
        page += fmt::format("<tr><td><a href=\"{}\">..</a></td><td></td></tr>\n",
                            directory_url(link, name));
    }
    std::size_t rows = 0;
    for (const auto& [part, child] : children) {
        if (++rows > limits::directory_rows_max) break;
        link.path = listing.path + part;
        page += fmt::format("<tr><td><a href=\"{}\">{}{}</a></td><td title=\"{} B\">{}</td></tr>\n",
                            child.is_directory ? directory_url(link, name) : url_of(link),
                            escaped(part), child.is_directory ? "/" : "", child.bytes.value,
                            core::size_text(child.bytes));
    }
    page += "</table>\n";
    if (children.empty()) page += "<p>Nothing is in it.</p>\n";
    if (children.size() > limits::directory_rows_max)
        page += fmt::format("<p>and {} more; <code>flow29 ls</code> lists them all</p>\n",
                            children.size() - limits::directory_rows_max);
    page += "</body></html>\n";
    return page;
}

HttpResponse answer_directory(Node& node, const HttpRequest& request, const Link& link,
                              const std::stop_token& stop) {
    // Without the slash a file is found as well, and told from what does not exist.
    Link place = link;
    while (place.path.ends_with('/'))
        place.path.pop_back();
    auto listing = WaitedListing::wait(node, place, stop);
    if (is_file(listing, place))
        return http_text(404, "it is a file, whose address does not end in a slash");
    if (!listing) return http_text(http_status_of(listing.error().code), listing.error().message());
    if (!listing->path.empty()) listing->path += '/';

    HttpResponse response;
    const bool as_json = wants_json(request);
    response.content_type = as_json ? "application/json" : "text/html; charset=utf-8";
    response.body = as_json ? listing_line(*listing) : directory_page(*listing, name_in(request));
    // The root decides what is listed, and this program how: another version may do it otherwise.
    const auto tag = fmt::format("\"{}\"", tag_digest(response.body));
    response.headers.emplace_back("ETag", tag);
    // Said here, as the library says "bytes" to every HEAD that is silent.
    response.headers.emplace_back("Accept-Ranges", "none");
    response.headers.emplace_back("Vary", "Accept");
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("Content-Security-Policy",
                                  "sandbox allow-same-origin allow-downloads; default-src 'none'; "
                                  "style-src 'unsafe-inline'; frame-ancestors 'self'");
    response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-site");
    const auto condition = condition_of(request, tag);
    if (condition == Condition::fails) return http_text(412, "it is not what If-Match names");
    if (condition == Condition::holds) return response;
    response.status = 304;
    response.body.clear();
    return response;
}

}  // namespace flow29::api
