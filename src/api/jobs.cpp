// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/jobs.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/json_results.hpp"

namespace flow29::api {
namespace {

constexpr std::string_view running = "running";
constexpr std::string_view done = "done";
constexpr std::string_view failed = "failed";
constexpr std::string_view error_prefix = R"({"event":"error")";
constexpr std::string_view cancelled_prefix = R"({"event":"error","code":"interrupted")";

std::string quoted(const std::string& text) {
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Jobs::~Jobs() {
    stop_.request_stop();
}

Result<std::uint64_t> Jobs::begin(Options options) {
    std::uint64_t id = 0;
    {
        const std::lock_guard lock(table_->mutex);
        auto& jobs = table_->jobs;
        const auto same = std::ranges::find_if(jobs, [&](const auto& entry) {
            return !options.link.empty() && entry.second.kind == options.kind &&
                   entry.second.link == options.link;
        });
        if (same != jobs.end()) {
            if (same->second.state == running) return same->first;
            jobs.erase(same);
        }
        if (jobs.size() >= limits::jobs_max) {
            const auto ended = std::ranges::find_if(
                jobs, [](const auto& entry) { return entry.second.state != running; });
            if (ended == jobs.end())
                return fail(Errc::refused,
                            "too much is under way already; wait until some of it has ended");
            jobs.erase(ended);
        }
        id = ++table_->last_id;
        Job& job = jobs[id];
        job.kind = options.kind;
        job.name = std::move(options.name);
        job.link = std::move(options.link);
        job.path = std::move(options.path);
        job.given_up = std::move(options.given_up);
    }
    Request request;
    request.method = std::move(options.kind);
    request.params = std::move(options.params);
    request.may_name_paths = true;  // the paths are the server's own
    request.stop = stop_.get_token();
    router_.call(std::move(request),
                 [table = table_, id, stop = stop_.get_token(), ended = std::move(options.ended)](
                     const std::string& line, bool last) {
                     const bool good = !line.starts_with(error_prefix);
                     {
                         const std::lock_guard lock(table->mutex);
                         const auto found = table->jobs.find(id);
                         if (found == table->jobs.end()) return;
                         Job& job = found->second;
                         (last ? job.result : job.progress) = line.substr(0, line.find('\n'));
                         if (last) job.state = good ? done : failed;
                     }
                     if (last && ended && !stop.stop_requested())
                         ended(good || line.starts_with(cancelled_prefix));
                 });
    return id;
}

Result<void> Jobs::forget(std::uint64_t id) {
    std::function<void()> given_up;
    {
        const std::lock_guard lock(table_->mutex);
        const auto found = table_->jobs.find(id);
        if (found == table_->jobs.end()) return fail(Errc::not_found, "there is no such job");
        if (found->second.state == running) return fail(Errc::refused, "it is under way");
        if (found->second.state == failed) given_up = std::move(found->second.given_up);
        table_->jobs.erase(found);
    }
    if (given_up) given_up();
    return {};
}

std::string Jobs::list() const {
    std::string list = "[";
    const std::lock_guard lock(table_->mutex);
    for (const auto& [id, job] : table_->jobs)
        list += fmt::format(
            R"({}{{"id":{},"kind":{},"name":{},"link":{},"path":{},"state":"{}","progress":{},"result":{}}})",
            list.size() > 1 ? "," : "", id, quoted(job.kind), quoted(job.name), quoted(job.link),
            quoted(job.path), job.state, job.progress.empty() ? "null" : job.progress,
            job.result.empty() ? "null" : job.result);
    return list + "]";
}

}  // namespace flow29::api
