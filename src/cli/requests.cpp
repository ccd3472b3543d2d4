// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/requests.hpp"

#include <limits>

#include <nlohmann/json.hpp>

#include "api/json_results.hpp"

namespace flow29::cli {
namespace {

using api::Json;
using Milliseconds = std::optional<std::chrono::milliseconds>;

void put(Json& json, const char* name, const Milliseconds& duration) {
    if (duration) json[name] = static_cast<std::uint64_t>(duration->count());
}

void put(Json& json, const char* name, const std::optional<ByteRange>& range) {
    if (!range) return;
    json[name] = Json{{"first", range->first.value}};
    if (range->last.value != std::numeric_limits<std::uint64_t>::max())
        json[name]["end"] = range->last.value;
}

const char* word_for(PublishWait wait) {
    switch (wait) {
        case PublishWait::copies:
            return "copies";
        case PublishWait::announced:
            return "announced";
        case PublishWait::none:
            return "none";
    }
    return "copies";
}

std::string text(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string publish_params(const PublishOptions& options, const Source& source) {
    Json json = {{"wait", word_for(options.wait)}};
    if (!source.name.empty()) json["name"] = source.name;
    if (options.copies) json["copies"] = *options.copies;
    if (options.extent_chunks) json["extent_chunks"] = *options.extent_chunks;
    put(json, "lease_ms", options.expires);
    put(json, "idle_timeout_ms", options.timeout);
    if (options.is_private) json["private"] = true;
    if (options.times) json["times"] = true;
    if (options.by_reference) {
        json["by_reference"] = true;
        json["path"] = source.path.string();
    }
    return text(json);
}

std::string fetch_params(const FetchOptions& options, const std::string& link,
                         const FetchOutput& output) {
    Json json = {{"link", link}, {"path", output.path.string()}};
    if (!output.name.empty()) json["name"] = output.name;
    put(json, "range", options.range);
    put(json, "idle_timeout_ms", options.timeout);
    if (options.overwrite) json["overwrite"] = true;
    if (options.no_share) json["share"] = false;
    if (options.keep_copy) json["keep_copy"] = true;
    if (output.inside) json["inside"] = true;
    return text(json);
}

std::string cat_params(const CatOptions& options, const std::string& link) {
    Json json = {{"link", link}};
    put(json, "range", options.range);
    put(json, "idle_timeout_ms", options.timeout);
    return text(json);
}

std::string locate_params(const LocateOptions& options, const std::string& hash) {
    Json json = {{"hash", hash}};
    if (options.in) json["in"] = *options.in;
    put(json, "timeout_ms", options.timeout);
    return text(json);
}

std::string health_params(const HealthOptions& options, const std::string& link) {
    Json json = {{"link", link}};
    put(json, "timeout_ms", options.timeout);
    if (options.repair) json["repair"] = true;
    return text(json);
}

std::string log_params(const LogOptions& options, std::uint64_t after) {
    return text({{"level", options.level}, {"after", after}});
}

std::string leave_params(const LeaveOptions& options) {
    Json json = Json::object();
    if (options.force) json["force"] = true;
    put(json, "idle_timeout_ms", options.timeout);
    return text(json);
}

std::string block_params(const BlockOptions& options) {
    Json json = Json::object();
    if (!options.name.empty()) json["name"] = options.name;
    return text(json);
}

std::string transfer_params(const TransferOptions& options) {
    const Json json = {{"id", options.id}};
    return text(json);
}

std::string peers_params(const ListOptions& options) {
    Json json = Json::object();
    if (!options.node.empty()) json["node"] = options.node;
    return text(json);
}

std::string list_params(const ListOptions& options, const std::string& link) {
    Json json = {{"link", link}};
    put(json, "idle_timeout_ms", options.timeout);
    return text(json);
}

std::string limit_params(const LimitOptions& options) {
    Json json = Json::object();
    if (options.up) json["up"] = options.up->value;
    if (options.down) json["down"] = options.down->value;
    if (options.repair) json["repair"] = options.repair->value;
    return text(json);
}

std::string join_params(const std::string& invite) {
    const Json json = {{"invite", invite}};
    return text(json);
}

std::string link_params(const std::string& link) {
    const Json json = {{"link", link}};
    return text(json);
}

}  // namespace flow29::cli
