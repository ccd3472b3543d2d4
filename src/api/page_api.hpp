// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>

#include <flow29/node.hpp>

#include "api/chores.hpp"
#include "api/http_message.hpp"
#include "api/jobs.hpp"
#include "api/page_fetches.hpp"
#include "api/page_uploads.hpp"
#include "api/router.hpp"

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
    /// Notes what is paused now.
    ~PageApi();
    PageApi(const PageApi&) = delete;
    PageApi& operator=(const PageApi&) = delete;

    /// Goes on with the fetches that were under way when the node stopped, and knows of those that
    /// had ended or were paused.
    void resume() { fetches_.resume(); }

    /// `path` is what follows the API's prefix. Nothing: the path is not one of these.
    [[nodiscard]] std::optional<HttpResponse> answer(const HttpRequest& request,
                                                     std::string_view path,
                                                     const std::stop_token& stop);

  private:
    [[nodiscard]] HttpResponse events(const HttpRequest& request, const std::stop_token& stop);
    [[nodiscard]] HttpResponse verify(const HttpRequest& request);
    [[nodiscard]] HttpResponse forget(const HttpRequest& request);

    Node& node_;  // owned by whoever made this
    std::shared_ptr<std::atomic<unsigned>> streams_ = std::make_shared<std::atomic<unsigned>>(0U);
    Chores::Desk desk_;
    Jobs jobs_;
    PageUploads uploads_;
    PageFetches fetches_;
    Chores chores_;  // last: they use the others
};

}  // namespace flow29::api
