// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <flow29/node.hpp>

#include "api/fetch_notes.hpp"
#include "api/http_message.hpp"
#include "api/jobs.hpp"
#include "api/router.hpp"
#include "api/uploads.hpp"

namespace flow29::api {

/// What only a page needs of the API. Whoever calls it has checked the token.
///
/// | request                          | does                                                      |
/// |----------------------------------|-----------------------------------------------------------|
/// | GET events                       | see EventStream                                           |
/// | POST uploads                     | announces `{"name","bytes","tag","directory"}`, a JSON    |
/// |                                  | body; `{"id","received_bytes","total_bytes"}`             |
/// | GET uploads/ID[?path=]           | `{"received_bytes"}` of the file                          |
/// | PATCH uploads/ID?offset=[&path=] | takes a slice, the body; likewise. 409 says the same when |
/// |                                  | it begins elsewhere                                       |
/// | POST uploads/ID/publish          | begins to publish what came, with `copies=` and           |
/// |                                  | `private=1` if so: `{"job"}`                              |
/// | POST uploads/ID/cancel           | removes it                                                |
/// | POST fetch?link=                 | begins to fetch into `fetched/`: `{"job"}`. Known also    |
/// |                                  | when the node starts again, until it is forgotten         |
/// | POST verify?link=                | begins to check what is kept here of it: `{"job"}`        |
/// | POST jobs/forget?id=             | forgets what has ended                                    |
class PageApi {
  public:
    /// `data`: where `uploads/`, `fetched/` and `fetching/` are. `node` and `router` must outlive
    /// it.
    PageApi(Node& node, Router& router, const std::filesystem::path& data);

    /// Goes on with the fetches that were under way when the node stopped, and knows of those that
    /// had ended or were paused.
    void resume();

    /// `path` is what follows the API's prefix. Nothing: the path is not one of these.
    [[nodiscard]] std::optional<HttpResponse> answer(const HttpRequest& request,
                                                     std::string_view path,
                                                     const std::stop_token& stop);

  private:
    [[nodiscard]] HttpResponse events(const HttpRequest& request, const std::stop_token& stop);
    [[nodiscard]] HttpResponse begin_upload(const HttpRequest& request);
    [[nodiscard]] HttpResponse upload(const HttpRequest& request, const std::string& id);
    [[nodiscard]] HttpResponse publish(const HttpRequest& request, const std::string& id);
    [[nodiscard]] HttpResponse cancel(const HttpRequest& request, const std::string& id);
    [[nodiscard]] HttpResponse fetch(const HttpRequest& request);
    [[nodiscard]] HttpResponse verify(const HttpRequest& request);
    [[nodiscard]] HttpResponse forget(const HttpRequest& request);
    /// `again`: when it finds no swarm, it is tried again and again. Errors: those of the file
    /// system.
    [[nodiscard]] Result<Jobs::Options> fetch_of(const Link& link, bool again);
    /// The job. Errors: refused.
    [[nodiscard]] Result<std::uint64_t> begin_fetch(Jobs::Options options);

    /// What is to be noted on the disk, for which neither the node's thread nor a page waits.
    struct Chores {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::vector<std::pair<std::string, bool>> uploads;  // id; whether its publication is over
        std::vector<std::string> given_up;                  // uploads, unless published once more
        std::vector<std::pair<FetchNotes::Note, bool>> fetches;  // whether it is forgotten
        std::vector<Link> again;                                 // fetches that found no swarm
    };
    void tidy(const std::stop_token& stop);
    void try_again();
    /// Whoever paused a fetch, it is paused when the node starts again.
    void note_pauses(const std::stop_token& stop);

    Node& node_;  // owned by whoever made this
    std::filesystem::path data_;
    Uploads uploads_;
    FetchNotes notes_;
    // The tidying thread's own.
    std::set<std::string> paused_;  // links
    std::vector<Link> again_;
    std::chrono::steady_clock::time_point next_try_{};
    std::shared_ptr<Chores> chores_ = std::make_shared<Chores>();
    Jobs jobs_;
    std::shared_ptr<std::atomic<unsigned>> streams_ = std::make_shared<std::atomic<unsigned>>(0U);
    std::jthread tidying_;  // last: it uses the others
};

}  // namespace flow29::api
