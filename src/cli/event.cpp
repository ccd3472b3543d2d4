// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/event.hpp"

#include <fmt/format.h>
#include <flow29/limits.hpp>
#include <nlohmann/json.hpp>

#include "api/json_results.hpp"
#include "core/json_depth.hpp"

namespace flow29::cli {
namespace {

using api::Json;

constexpr int errc_last = static_cast<int>(Errc::locked);

Errc code_named(std::string_view name) {
    for (int value = 0; value <= errc_last; ++value)
        if (errc_name(static_cast<Errc>(value)) == name) return static_cast<Errc>(value);
    return Errc::other;
}

std::string string_at(const Json& json, const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_at(const Json& json, const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

ProgressEvent progress_of(const Json& json) {
    ProgressEvent progress;
    progress.stage = string_at(json, "stage");
    progress.done = ByteCount(number_at(json, "done_bytes"));
    progress.total = ByteCount(number_at(json, "total_bytes"));
    progress.own = ByteCount(number_at(json, "own_bytes"));
    progress.holders = number_at(json, "holders");
    progress.copies_min = number_at(json, "copies_min");
    progress.copies_target = number_at(json, "copies_target");
    progress.sent = ByteCount(number_at(json, "sent_bytes"));
    progress.sent_rate = number_at(json, "sent_rate");
    const auto eta = number_at(json, "eta_ms");
    constexpr std::uint64_t eta_ms_max = std::chrono::milliseconds(std::chrono::years(1)).count();
    if (eta != 0 && eta <= eta_ms_max) progress.eta = std::chrono::milliseconds(eta);
    return progress;
}

}  // namespace

Result<Event> parse_event(std::string_view line) {
    const Json json = core::is_nested_beyond(line, limits::json_depth_max)
                          ? Json()
                          : Json::parse(line, nullptr, false);
    if (!json.is_object())
        return fail(Errc::other,
                    "the node's answer is not JSON; is it of another version "
                    "than this command (`flow29 version`)?");
    const std::string kind = string_at(json, "event");
    Event event;
    if (kind == "progress") {
        event.progress = progress_of(json);
    } else if (kind == "done") {
        event.kind = Event::Kind::done;
    } else if (kind == "error") {
        event.kind = Event::Kind::error;
        event.error = {code_named(string_at(json, "code")), string_at(json, "message")};
    } else {
        return fail(Errc::other,
                    fmt::format("the node's answer is of no known kind: \"{}\"", kind));
    }
    return event;
}

std::string progress_line(const ProgressEvent& progress) {
    Json json = {{"event", "progress"}, {"stage", progress.stage}};
    if (progress.done.value != 0) json["done_bytes"] = progress.done.value;
    if (progress.total.value != 0) json["total_bytes"] = progress.total.value;
    return api::to_line(json);
}

}  // namespace flow29::cli
