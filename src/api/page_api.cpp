// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/page_api.hpp"

#include <chrono>
#include <utility>

#include <flow29/limits.hpp>
#include <nlohmann/json.hpp>

#include "api/event_stream.hpp"
#include "api/http_json.hpp"
#include "api/page_request.hpp"

namespace flow29::api {
namespace {

constexpr auto tidy_period = std::chrono::milliseconds(60'000);
constexpr auto look_period = std::chrono::milliseconds(2'000);
constexpr std::string_view uploads_prefix = "uploads/";

}  // namespace

PageApi::PageApi(Node& node, Router& router, const std::filesystem::path& data)
    : node_(node),
      jobs_(router),
      uploads_(std::filesystem::absolute(data) / "uploads", jobs_, desk_),
      fetches_(node, jobs_, std::filesystem::absolute(data), desk_),
      chores_(desk_,
              {.work =
                   [this](const std::stop_token& stop) {
                       fetches_.tidy(stop);
                       uploads_.sweep();
                   },
               .pause = [this] { return fetches_.has_to_look() ? look_period : tidy_period; }}) {}

PageApi::~PageApi() {
    desk_.hand_in([this] { fetches_.note_pauses(std::stop_token()); });
}

std::optional<HttpResponse> PageApi::answer(const HttpRequest& request, std::string_view path,
                                            const std::stop_token& stop) {
    if (path == "events") return events(request, stop);
    if (path == "fetch") return fetches_.fetch(request, stop);
    if (path == "verify") return verify(request);
    if (path == "jobs/forget") return forget(request);
    if (path == "uploads") return uploads_.begin(request);
    if (!path.starts_with(uploads_prefix)) return std::nullopt;
    path.remove_prefix(uploads_prefix.size());
    const auto slash = path.find('/');
    const std::string id(path.substr(0, slash));
    if (slash == std::string_view::npos) return uploads_.slice(request, id);
    const auto action = path.substr(slash + 1);
    if (action == "publish") return uploads_.publish(request, id);
    if (action == "cancel") return uploads_.cancel(request, id);
    return std::nullopt;
}

HttpResponse PageApi::events(const HttpRequest& request, const std::stop_token& stop) {
    if (request.method != "GET") return not_allowed("GET");
    if (auto refusal = check_query(request, {})) return std::move(*refusal);
    if (++*streams_ > limits::event_streams_max) {
        --*streams_;
        return json_error(503, {Errc::refused, "too many pages are open; close one"});
    }
    HttpResponse response;
    response.content_type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-store");
    response.stream = std::make_shared<EventStream>(node_, jobs_, streams_, stop);
    response.is_endless = true;
    return response;
}

HttpResponse PageApi::verify(const HttpRequest& request) {
    if (request.method != "POST") return not_allowed("POST");
    if (auto refusal = check_query(request, {"link"})) return std::move(*refusal);
    const auto link = Link::parse(text_in(request, "link"));
    if (!link) return json_error(link.error());
    // A gigabyte takes many seconds, at limits::verify_rate: longer than a request should.
    Jobs::Options options;
    options.kind = "verify";
    options.name = link->name;
    options.link = link->to_string();
    options.params = text_of({{"link", options.link}});
    const auto job = jobs_.begin(std::move(options));
    return job ? say({{"job", *job}}) : json_error(job.error());
}

HttpResponse PageApi::forget(const HttpRequest& request) {
    if (request.method != "POST") return not_allowed("POST");
    if (auto refusal = check_query(request, {"id"})) return std::move(*refusal);
    const auto id = number_in(request, "id");
    if (!id) return json_error({Errc::usage, "\"id\" must be given"});
    const auto forgotten = jobs_.forget(*id);
    return forgotten ? say(Json::object()) : json_error(forgotten.error());
}

}  // namespace flow29::api
