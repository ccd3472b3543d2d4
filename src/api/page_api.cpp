// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/page_api.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <initializer_list>
#include <system_error>
#include <utility>

#include <flow29/limits.hpp>
#include <nlohmann/json.hpp>

#include "api/ask.hpp"
#include "api/event_stream.hpp"
#include "api/http_json.hpp"
#include "api/json_results.hpp"
#include "core/json_depth.hpp"
#include "core/log.hpp"
#include "core/private_directory.hpp"

namespace flow29::api {
namespace {

constexpr auto tidy_period = std::chrono::milliseconds(60'000);
constexpr auto try_period = std::chrono::seconds(10);           // of what found no swarm
constexpr auto look_period = std::chrono::milliseconds(2'000);  // whether a fetch is paused
constexpr std::string_view no_network_prefix = R"({"event":"error","code":"no_network")";
constexpr const char* paused_state = "paused";  // of a fetch's note; "": it runs, else how it ended
constexpr std::string_view uploads_prefix = "uploads/";
constexpr std::size_t root_chars = 16;  // of base32: 80 bits tell apart what one user fetched

HttpResponse not_allowed(const char* allowed) {
    auto response = json_error(405, {Errc::usage, std::string("this takes ") + allowed});
    response.headers.emplace_back("Allow", allowed);
    return response;
}

/// The refusal when a parameter is none of `known`.
std::optional<HttpResponse> check_query(const HttpRequest& request,
                                        std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : request.query)
        if (std::ranges::find(known, name) == known.end())
            return json_error(400, {Errc::usage, "unknown parameter \"" + name + "\""});
    return std::nullopt;
}

std::string text_in(const HttpRequest& request, const char* name) {
    const auto found = request.query.find(name);
    return found == request.query.end() ? std::string() : found->second;
}

std::optional<std::uint64_t> number_in(const HttpRequest& request, const char* name) {
    const std::string text = text_in(request, name);
    std::uint64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [read, error] = std::from_chars(text.data(), end, number);
    if (text.empty() || error != std::errc() || read != end) return std::nullopt;
    return number;
}

std::string text_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

HttpResponse say(const Json& json) {
    return json_response(to_line(done_event(json)));
}

/// What a fetched object is called here: names come from others.
std::string name_for(const Link& link) {
    std::string name = link.name;
    const auto end = link.path.find_last_not_of('/');
    if (end != std::string::npos) {
        const auto begin = link.path.find_last_of('/', end);
        const auto first = begin == std::string::npos ? 0 : begin + 1;
        name = link.path.substr(first, end + 1 - first);
    }
    // The node is told it in JSON, where octets that are no text would become others, and more.
    if (Json::parse(text_of(name)) != Json(name))
        for (char& c : name)
            if (static_cast<unsigned char>(c) >= 0x80) c = '_';
    for (char& c : name)
        if (c == '/' || static_cast<unsigned char>(c) < 0x20) c = '_';
    // Beside it lies NAME.flow29-part.
    if (name.size() > limits::path_component_bytes_max - 16 || name.starts_with('.'))
        return "object";
    return is_file_name(name) ? name : "object";
}

/// Whether it is how a fetch ended, as the router says it, and what came is there still.
bool is_outcome(const std::string& line, const std::string& path) {
    if (core::is_nested_beyond(line, limits::json_depth_max)) return false;
    const auto json = Json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("event")) return false;
    std::error_code unknown;
    return json["event"] != "done" || std::filesystem::exists(path, unknown);
}

}  // namespace

PageApi::PageApi(Node& node, Router& router, const std::filesystem::path& data)
    : node_(node),
      data_(std::filesystem::absolute(data)),
      uploads_(data_ / "uploads"),
      notes_(data_ / "fetching"),
      jobs_(router),
      tidying_([this](const std::stop_token& stop) { tidy(stop); }) {}

void PageApi::tidy(const std::stop_token& stop) {
    for (bool last = false; !last;) {
        const bool fetches_run = !jobs_.fetching().empty();
        const bool is_short = fetches_run || !again_.empty();
        std::unique_lock lock(chores_->mutex);
        chores_->wake.wait_for(lock, stop, is_short ? look_period : tidy_period, [this] {
            return !chores_->uploads.empty() || !chores_->given_up.empty() ||
                   !chores_->fetches.empty();
        });
        last = stop.stop_requested();
        const auto uploads = std::exchange(chores_->uploads, {});
        const auto given_up = std::exchange(chores_->given_up, {});
        const auto fetches = std::exchange(chores_->fetches, {});
        for (auto& link : std::exchange(chores_->again, {}))
            again_.push_back(std::move(link));
        lock.unlock();
        for (const auto& [id, over] : uploads)
            uploads_.release(id, over);
        for (const auto& id : given_up)
            (void)uploads_.remove(id);
        for (const auto& [note, is_forgotten] : fetches) {
            paused_.erase(note.link);
            if (!is_forgotten) {
                notes_.put(note);
                continue;
            }
            notes_.remove(note.link);
            std::erase_if(again_, [&](const Link& link) { return link.to_string() == note.link; });
        }
        if (!last) try_again();
        if (fetches_run && !last) note_pauses(stop);
        uploads_.sweep(Uploads::Clock::now());
    }
}

void PageApi::try_again() {
    const auto now = std::chrono::steady_clock::now();
    if (again_.empty() || now < next_try_) return;
    next_try_ = now + try_period;
    for (const auto& link : std::exchange(again_, {}))
        if (auto options = fetch_of(link, true))
            if (const auto job = begin_fetch(std::move(*options)); !job)
                core::log::warn("page", "{}: {}", to_base32(link.root), job.error().message());
}

void PageApi::note_pauses(const std::stop_token& stop) {
    const auto transfers = ask(node_, &Node::transfers, stop);
    if (!transfers) return;
    const auto fetching = jobs_.fetching();
    for (const auto& transfer : *transfers) {
        const auto job = fetching.find(transfer.path);
        if (transfer.kind != TransferKind::fetch || job == fetching.end()) continue;
        const std::string& link = job->second;
        const bool changed =
            transfer.paused ? paused_.insert(link).second : paused_.erase(link) == 1;
        if (changed) notes_.put({link, transfer.paused ? paused_state : ""});
    }
}

std::optional<HttpResponse> PageApi::answer(const HttpRequest& request, std::string_view path,
                                            const std::stop_token& stop) {
    if (path == "events") return events(request, stop);
    if (path == "fetch") return fetch(request);
    if (path == "verify") return verify(request);
    if (path == "jobs/forget") return forget(request);
    if (path == "uploads") return begin_upload(request);
    if (!path.starts_with(uploads_prefix)) return std::nullopt;
    path.remove_prefix(uploads_prefix.size());
    const auto slash = path.find('/');
    const std::string id(path.substr(0, slash));
    if (slash == std::string_view::npos) return upload(request, id);
    const auto action = path.substr(slash + 1);
    if (action == "publish") return publish(request, id);
    if (action == "cancel") return cancel(request, id);
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

HttpResponse PageApi::begin_upload(const HttpRequest& request) {
    if (request.method != "POST") return not_allowed("POST");
    if (core::is_nested_beyond(request.body, limits::json_depth_max))
        return json_error({Errc::usage, "it is nested too deeply"});
    const auto json = Json::parse(request.body, nullptr, false);
    const auto field = [&](const char* name) {
        return json.is_object() && json.contains(name) ? json[name] : Json();
    };
    const Json name = field("name");
    const Json bytes = field("bytes");
    const Json tag = field("tag");
    const Json is_directory = field("directory");
    if (!name.is_string() || !bytes.is_number_unsigned())
        return json_error({Errc::usage, "\"name\" and \"bytes\" must be given"});
    Uploads::Offer offer;
    offer.name = name.get<std::string>();
    offer.bytes = ByteCount(bytes.get<std::uint64_t>());
    if (tag.is_string()) offer.tag = tag.get<std::string>();
    offer.is_directory = is_directory.is_boolean() && is_directory.get<bool>();
    const auto begun = uploads_.begin(std::move(offer), Uploads::Clock::now());
    if (!begun) return json_error(begun.error());
    return say({{"id", begun->id},
                {"received_bytes", begun->received.value},
                {"total_bytes", begun->total.value}});
}

HttpResponse PageApi::upload(const HttpRequest& request, const std::string& id) {
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (!reads && request.method != "PATCH") return not_allowed("GET, HEAD, PATCH");
    if (auto refusal = check_query(request, {"offset", "path"})) return std::move(*refusal);
    const std::string path = text_in(request, "path");
    if (reads) {
        const auto received = uploads_.received(id, path);
        if (!received) return json_error(received.error());
        return say({{"received_bytes", received->value}});
    }
    const auto offset = number_in(request, "offset");
    if (!offset) return json_error({Errc::usage, "\"offset\" must be given"});
    const Uploads::Slice slice{id, path, ByteCount(*offset), request.body};
    const auto received = uploads_.write(slice, Uploads::Clock::now());
    if (received) return say({{"received_bytes", received->value}});
    if (received.error().code != Errc::exists_already) return json_error(received.error());
    Json line = error_event(received.error());
    if (const auto here = uploads_.received(id, path)) line["received_bytes"] = here->value;
    return json_response(to_line(line));
}

HttpResponse PageApi::publish(const HttpRequest& request, const std::string& id) {
    if (request.method != "POST") return not_allowed("POST");
    if (auto refusal = check_query(request, {"copies", "private"})) return std::move(*refusal);
    const auto copies = number_in(request, "copies");
    if (!copies && request.query.contains("copies"))
        return json_error({Errc::usage, "\"copies\" must be a number"});
    const auto complete = uploads_.close(id);
    if (!complete) return json_error(complete.error());
    Jobs::Options options;
    options.kind = "publish";
    options.name = complete->name;
    options.path = complete->path.string();
    Json params = {{"path", options.path}, {"name", options.name}, {"withdraw_on_stop", true}};
    if (copies) params["copies"] = *copies;
    if (number_in(request, "private").value_or(0) != 0) params["private"] = true;
    options.params = text_of(params);
    options.ended = [chores = chores_, id](const std::string&, bool over) {
        const std::lock_guard lock(chores->mutex);
        chores->uploads.emplace_back(id, over);
        chores->wake.notify_one();
    };
    options.forgotten = [chores = chores_, id] {
        const std::lock_guard lock(chores->mutex);
        chores->given_up.push_back(id);
        chores->wake.notify_one();
    };
    const auto job = jobs_.begin(std::move(options));
    if (job) return say({{"job", *job}});
    uploads_.release(id, false);
    return json_error(job.error());
}

HttpResponse PageApi::cancel(const HttpRequest& request, const std::string& id) {
    if (request.method != "POST") return not_allowed("POST");
    const auto removed = uploads_.remove(id);
    return removed ? say(Json::object()) : json_error(removed.error());
}

HttpResponse PageApi::fetch(const HttpRequest& request) {
    if (request.method != "POST") return not_allowed("POST");
    if (auto refusal = check_query(request, {"link"})) return std::move(*refusal);
    const std::string text = text_in(request, "link");
    const auto link = Link::parse(text);
    if (!link) return json_error(link.error());
    auto options = fetch_of(*link, false);
    if (!options) return json_error(options.error());
    const auto job = begin_fetch(std::move(*options));
    return job ? say({{"job", *job}}) : json_error(job.error());
}

Result<Jobs::Options> PageApi::fetch_of(const Link& link, bool again) {
    // A folder an object: the same link resumes, and no two objects meet.
    const auto folder = data_ / "fetched" / to_base32(link.root).substr(0, root_chars);
    for (const auto& directory : {folder.parent_path(), folder})
        if (auto made = core::make_private_directory(directory); !made)
            return fail(std::move(made.error()));
    Jobs::Options options;
    options.kind = "fetch";
    options.name = name_for(link);
    options.link = link.to_string();
    options.path = (folder / options.name).string();
    options.params = text_of({{"link", options.link}, {"path", options.path}});
    const auto note = [chores = chores_, text = options.link](std::string state,
                                                              bool is_forgotten) {
        const std::lock_guard lock(chores->mutex);
        chores->fetches.emplace_back(FetchNotes::Note{text, std::move(state)}, is_forgotten);
        chores->wake.notify_one();
    };
    // What has failed is tried again at the next start, as long as it is shown.
    options.ended = [note, again, link, chores = chores_](const std::string& line, bool over) {
        if (again && line.starts_with(no_network_prefix)) {
            const std::lock_guard lock(chores->mutex);
            chores->again.push_back(link);
        }
        note(over ? line : "", false);  // which wakes who does the chores
    };
    options.forgotten = [note] { note("", true); };
    return options;
}

Result<std::uint64_t> PageApi::begin_fetch(Jobs::Options options) {
    {
        const std::lock_guard lock(chores_->mutex);
        chores_->fetches.emplace_back(FetchNotes::Note{options.link, ""}, false);
        chores_->wake.notify_one();
    }
    const auto forgotten = options.forgotten;
    auto job = jobs_.begin(std::move(options));
    if (!job) forgotten();
    return job;
}

void PageApi::resume() {
    for (auto& [text, state] : notes_.all()) {
        const auto link = Link::parse(text);
        auto options = link ? fetch_of(*link, true) : fail(link.error());
        if (!options) continue;
        if (state.empty()) {
            if (const auto job = begin_fetch(std::move(*options)); !job)
                core::log::warn("page", "{}: {}", to_base32(link->root), job.error().message());
        } else if (state == paused_state) {
            jobs_.restore(*options, "");
        } else if (is_outcome(state, options->path)) {
            jobs_.restore(*options, std::move(state));
        } else {
            notes_.remove(text);
        }
    }
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
