// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <flow29/node.hpp>

#include "api/http_message.hpp"
#include "api/jobs.hpp"
#include "api/listing_pace.hpp"

namespace flow29::api {

/// How a node is, as Server-Sent Events, for a page that shows it live. At most four updates a
/// second; one that would say nothing new is not sent, but every ten seconds something is, so that
/// a reader who went away is noticed.
///
/// Each event is `update`, its id counts from 1, and its data is one JSON object with what changed:
///
/// | field     | what                                             | at most                    |
/// |-----------|--------------------------------------------------|----------------------------|
/// | version   | the id                                           |                            |
/// | status    | as `status`                                      | each second                |
/// | peers     | the list of `peers`                              | each second                |
/// | transfers | the list of `transfers`                          | every 250 ms               |
/// | jobs      | what pages began, see Jobs                       | every 250 ms               |
/// | objects   | `{"rows":[new or changed],"gone":[root…]}`       | see ListingPace            |
///
/// Version 1 means that what was known before is to be forgotten. Objects follow as soon as they
/// are listed, all of them in one event, even when there are none.
class EventStream final : public BodyStream {
  public:
    /// `node` and `jobs` must outlive it; `open` counts the streams.
    EventStream(Node& node, Jobs& jobs, std::shared_ptr<std::atomic<unsigned>> open,
                std::stop_token stop);
    ~EventStream() override;
    EventStream(const EventStream&) = delete;
    EventStream& operator=(const EventStream&) = delete;

    /// Waits for something to say.
    [[nodiscard]] std::optional<Bytes> next() override;

  private:
    using Clock = std::chrono::steady_clock;

    /// Adds `"name":text` to the update, and true, unless it was the last that was said.
    bool add(const char* name, std::string text);
    void add_objects();
    void add_rows(const std::vector<ObjectEntry>& objects);
    void note_news(const Status& status, const std::vector<PeerInfo>& peers);
    void collect();
    void wait_until(Clock::time_point time);

    Node& node_;  // owned by whoever made this
    Jobs& jobs_;  // likewise
    std::shared_ptr<std::atomic<unsigned>> open_;
    std::stop_token stop_;
    std::uint64_t version_ = 0;
    std::string update_;
    std::map<std::string, std::string> said_;     // by field
    std::map<std::string, std::string> objects_;  // by root
    /// Of many objects it takes seconds, which nothing else waits for.
    struct Listing {
        Result<std::vector<ObjectEntry>> objects;
        Clock::duration cost;
    };
    std::future<Listing> listing_;
    ListingPace pace_;
    std::string shown_;  // of status and peers, as far as it shows in the list of objects
    std::uint64_t changes_ = 0;
    bool has_listed_ = false;
    Clock::time_point next_tick_, next_second_, next_sign_;
};

}  // namespace flow29::api
