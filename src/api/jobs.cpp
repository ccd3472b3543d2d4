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
constexpr std::string_view paused = "paused";
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

Result<std::uint64_t> Jobs::add(const Options& options, std::function<void()>& forgotten) {
    auto& jobs = table_->jobs;
    if (jobs.size() >= limits::jobs_max) {
        const auto ended = std::ranges::find_if(
            jobs, [](const auto& entry) { return !entry.second.result.empty(); });
        if (ended == jobs.end())
            return fail(Errc::refused,
                        "too much is under way already; wait until some of it has ended");
        forgotten = std::move(ended->second.forgotten);
        jobs.erase(ended);
    }
    Job& job = jobs[++table_->last_id];
    job.kind = options.kind;
    job.name = options.name;
    job.link = options.link;
    job.path = options.path;
    job.forgotten = options.forgotten;
    return table_->last_id;
}

Result<std::uint64_t> Jobs::begin(Options options) {
    std::function<void()> forgotten;
    Result<std::uint64_t> id = 0;
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
        id = add(options, forgotten);
    }
    if (forgotten) forgotten();
    if (!id) return id;
    Request request;
    request.method = std::move(options.kind);
    request.params = std::move(options.params);
    request.may_name_paths = true;  // the paths are the server's own
    request.stop = stop_.get_token();
    router_.call(std::move(request),
                 [table = table_, id = *id, stop = stop_.get_token(),
                  ended = std::move(options.ended)](const std::string& said, bool last) {
                     const auto line = said.substr(0, said.find('\n'));
                     const bool good = !line.starts_with(error_prefix);
                     {
                         const std::lock_guard lock(table->mutex);
                         const auto found = table->jobs.find(id);
                         if (found == table->jobs.end()) return;
                         Job& job = found->second;
                         (last ? job.result : job.progress) = line;
                         if (last) job.state = good ? done : failed;
                     }
                     if (last && ended && !stop.stop_requested())
                         ended(line, good || line.starts_with(cancelled_prefix));
                 });
    return id;
}

void Jobs::restore(const Options& options, std::string result) {
    const std::lock_guard lock(table_->mutex);
    if (table_->jobs.size() >= limits::jobs_max) return;
    std::function<void()> nothing;
    const auto id = add(options, nothing);
    if (!id) return;
    Job& job = table_->jobs[*id];
    job.state = result.empty() ? paused : result.starts_with(error_prefix) ? failed : done;
    job.result = std::move(result);
}

Result<void> Jobs::forget(std::uint64_t id) {
    std::function<void()> forgotten;
    {
        const std::lock_guard lock(table_->mutex);
        const auto found = table_->jobs.find(id);
        if (found == table_->jobs.end()) return fail(Errc::not_found, "there is no such job");
        if (found->second.state == running) return fail(Errc::refused, "it is under way");
        forgotten = std::move(found->second.forgotten);
        table_->jobs.erase(found);
    }
    if (forgotten) forgotten();
    return {};
}

std::map<std::string, std::string> Jobs::fetching() const {
    std::map<std::string, std::string> links;
    const std::lock_guard lock(table_->mutex);
    for (const auto& [id, job] : table_->jobs)
        if (job.kind == "fetch" && job.state == running) links.emplace(job.path, job.link);
    return links;
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
