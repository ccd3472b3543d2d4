// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "api/chores.hpp"
#include "api/http_message.hpp"
#include "api/jobs.hpp"
#include "api/json_results.hpp"
#include "api/uploads.hpp"

namespace flow29::api {

/// The page's requests about uploads: see PageApi. One whose publication is over goes.
class PageUploads {
  public:
    /// `jobs` must outlive it, and whoever does the chores must not.
    PageUploads(const std::filesystem::path& directory, Jobs& jobs, Chores::Desk desk)
        : uploads_(directory), jobs_(jobs), desk_(std::move(desk)) {}

    [[nodiscard]] HttpResponse begin(const HttpRequest& request);
    [[nodiscard]] HttpResponse slice(const HttpRequest& request, const std::string& id);
    /// The same job when it is being published already, as by another page.
    [[nodiscard]] HttpResponse publish(const HttpRequest& request, const std::string& id);
    [[nodiscard]] HttpResponse cancel(const HttpRequest& request, const std::string& id);

    /// A chore.
    void sweep() { uploads_.sweep(Uploads::Clock::now()); }

  private:
    [[nodiscard]] Result<std::uint64_t> publish(const std::string& id, Json params);
    void release(const std::string& id, bool over);

    Uploads uploads_;
    Jobs& jobs_;  // owned by whoever made this
    Chores::Desk desk_;
    std::mutex mutex_;
    std::map<std::string, std::uint64_t> publishing_;  // jobs, by upload
};

}  // namespace flow29::api
