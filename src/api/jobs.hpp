// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include "api/router.hpp"

namespace flow29::api {

/// What the page began and does not wait for: fetches, publications and checks. They go on when the
/// page is closed, and how they ended is told to whoever opens it next, until the node stops.
///
/// At most limits::jobs_max are known; of those that ended the oldest is forgotten first.
/// Any thread may call anything.
class Jobs {
  public:
    struct Options {
        std::string kind;  ///< the router's method, which is also what people see
        std::string name{};
        std::string link{};    ///< of a fetch or check
        std::string path{};    ///< what is read or written; a transfer has the same; else empty
        std::string params{};  ///< a JSON object
        /// Called once when it ended, on the node's thread, with the router's last line and whether
        /// nobody will try it again: it went well, or was cancelled. Not when it ends with the
        /// jobs.
        std::function<void(const std::string& line, bool over)> ended{};
        std::function<void()>
            forgotten{};  ///< called when it is, but not when the same begins anew
    };

    /// `router` must outlive the jobs.
    explicit Jobs(Router& router) : router_(router) {}
    /// Ends what runs, without waiting for it.
    ~Jobs();
    Jobs(const Jobs&) = delete;
    Jobs& operator=(const Jobs&) = delete;

    /// Begins one; its id. One of the same kind and link that runs is the answer, one that ended
    /// gives way. Errors: refused (too many run).
    [[nodiscard]] Result<std::uint64_t> begin(Options options);
    /// One of before the node started: with the line that it ended with, or none when it was
    /// paused. Left out when too many are known.
    void restore(const Options& options, std::string result);
    /// Forgets one that does not run. Errors: not_found, refused (it runs).
    [[nodiscard]] Result<void> forget(std::uint64_t id);
    /// A JSON array, `[{"id","kind","name","link","path","state","progress","result"}]`, oldest
    /// first. `state` is running, paused (until it is begun anew), done or failed; `result` is the
    /// router's last line.
    [[nodiscard]] std::string list() const;
    /// The links of the fetches that run, by where they write.
    [[nodiscard]] std::map<std::string, std::string> fetching() const;
    /// Router::changes.
    [[nodiscard]] std::uint64_t changes() const { return router_.changes(); }

  private:
    struct Job {
        std::string kind, name, link, path;
        std::string_view state = "running";
        std::string progress, result;  // JSON; empty: none yet
        std::function<void()> forgotten;
    };
    /// Shared with the callbacks of what runs, which may come after the jobs are gone.
    struct Table {
        mutable std::mutex mutex;
        std::map<std::uint64_t, Job> jobs;
        std::uint64_t last_id = 0;
    };

    /// Adds one, when there is room for it or something that ended to be forgotten; then
    /// `forgotten` is for whoever calls, without the lock.
    [[nodiscard]] Result<std::uint64_t> add(const Options& options,
                                            std::function<void()>& forgotten);

    Router& router_;  // owned by whoever made this
    std::shared_ptr<Table> table_ = std::make_shared<Table>();
    std::stop_source stop_;
};

}  // namespace flow29::api
