// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/page_fetches.hpp"

#include <algorithm>
#include <string_view>
#include <system_error>
#include <utility>

#include <flow29/limits.hpp>
#include <nlohmann/json.hpp>

#include "api/ask.hpp"
#include "api/cut_text.hpp"
#include "api/http_json.hpp"
#include "api/page_request.hpp"
#include "api/uploads.hpp"
#include "core/json_depth.hpp"
#include "core/log.hpp"
#include "core/private_directory.hpp"

namespace flow29::api {
namespace {

constexpr auto try_period = std::chrono::seconds(10);
constexpr std::string_view no_network_prefix = R"({"event":"error","code":"no_network")";
constexpr std::size_t name_bytes_max = limits::path_component_bytes_max - 16;
constexpr std::size_t extension_bytes_max = 16;
constexpr std::size_t root_chars = 16;  // of base32: 80 bits tell apart what one user fetched

/// So that NAME.flow29-part, which lies beside it, is a file's name as well. An extension stays.
std::string shortened(const std::string& name) {
    if (name.size() <= name_bytes_max) return name;
    const auto dot = std::min(name.rfind('.'), name.size());
    const auto extension = name.size() - dot <= extension_bytes_max ? name.substr(dot) : "";
    return std::string(cut_text(name, name_bytes_max - extension.size())) + extension;
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
    // Seen in a folder, whatever it is.
    for (std::size_t i = 0; i < name.size() && name[i] == '.'; ++i)
        name[i] = '_';
    name = shortened(name);
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

PageFetches::PageFetches(Node& node, Jobs& jobs, const std::filesystem::path& data,
                         Chores::Desk desk)
    : node_(node),
      jobs_(jobs),
      directory_(data / "fetched"),
      notes_(data / "fetching"),
      desk_(std::move(desk)) {}

HttpResponse PageFetches::fetch(const HttpRequest& request, const std::stop_token& stop) {
    if (request.method != "POST") return not_allowed("POST");
    if (auto refusal = check_query(request, {"link"})) return std::move(*refusal);
    auto link = Link::parse(text_in(request, "link"));
    if (!link) return json_error(link.error());
    if (link->name.empty() && link->path.empty()) link->name = known_name(link->root, stop);
    auto options = options_of(*link, false);
    if (!options) return json_error(options.error());
    const auto job = begin(std::move(*options));
    return job ? say({{"job", *job}}) : json_error(job.error());
}

std::string PageFetches::known_name(const RootHash& root, const std::stop_token& stop) {
    const auto objects = ask(node_, &Node::objects, stop);
    if (!objects) return {};
    const auto known = std::ranges::find(*objects, root, &ObjectEntry::root);
    return known == objects->end() ? std::string() : known->name;
}

Result<Jobs::Options> PageFetches::options_of(const Link& link, bool again) {
    const auto folder = directory_ / to_base32(link.root).substr(0, root_chars);
    for (const auto& directory : {directory_, folder})
        if (auto made = core::make_private_directory(directory); !made)
            return fail(std::move(made.error()));
    Jobs::Options options;
    options.kind = "fetch";
    options.name = name_for(link);
    options.link = link.to_string();
    options.path = (folder / options.name).string();
    options.params = text_of({{"link", options.link}, {"path", options.path}});
    // What has failed is tried again at the next start, as long as it is shown.
    options.ended = [this, desk = desk_, link, again](const std::string& line, bool over) {
        desk.hand_in([this, link, line, over, again] {
            if (again && line.starts_with(no_network_prefix)) again_.push_back(link);
            paused_.erase(link.to_string());
            notes_.put({link.to_string(), over ? line : "", false});
        });
    };
    options.forgotten = [this, desk = desk_, text = options.link] {
        desk.hand_in([this, text] {
            paused_.erase(text);
            notes_.remove(text);
            std::erase_if(again_, [&](const Link& tried) { return tried.to_string() == text; });
        });
    };
    return options;
}

Result<std::uint64_t> PageFetches::begin(Jobs::Options options) {
    desk_.hand_in([this, link = options.link] {
        paused_.erase(link);
        notes_.put({link, "", false});
    });
    const auto forgotten = options.forgotten;
    auto job = jobs_.begin(std::move(options));
    if (!job) forgotten();
    return job;
}

void PageFetches::resume() {
    for (auto& [text, outcome, paused] : notes_.all()) {
        const auto link = Link::parse(text);
        auto options = link ? options_of(*link, true) : fail(link.error());
        if (!options) continue;
        if (paused) {
            jobs_.restore(*options, "");
        } else if (outcome.empty()) {
            if (const auto job = begin(std::move(*options)); !job)
                core::log::warn("page", "{}: {}", to_base32(link->root), job.error().message());
        } else if (is_outcome(outcome, options->path)) {
            jobs_.restore(*options, std::move(outcome));
        } else {
            notes_.remove(text);
        }
    }
}

bool PageFetches::has_to_look() const {
    return !again_.empty() || !jobs_.fetching().empty();
}

void PageFetches::tidy(const std::stop_token& stop) {
    try_again();
    note_pauses(stop);
}

void PageFetches::try_again() {
    const auto now = std::chrono::steady_clock::now();
    if (again_.empty() || now < next_try_) return;
    next_try_ = now + try_period;
    for (const auto& link : std::exchange(again_, {}))
        if (auto options = options_of(link, true))
            if (const auto job = begin(std::move(*options)); !job)
                core::log::warn("page", "{}: {}", to_base32(link.root), job.error().message());
}

void PageFetches::note_pauses(const std::stop_token& stop) {
    const auto fetching = jobs_.fetching();
    if (fetching.empty()) return;
    const auto transfers = ask(node_, &Node::transfers, stop);
    if (!transfers) return;
    for (const auto& transfer : *transfers) {
        const auto job = fetching.find(transfer.path);
        if (transfer.kind != TransferKind::fetch || job == fetching.end()) continue;
        const std::string& link = job->second;
        const bool changed =
            transfer.paused ? paused_.insert(link).second : paused_.erase(link) == 1;
        if (changed) notes_.put({link, "", transfer.paused});
    }
}

}  // namespace flow29::api
