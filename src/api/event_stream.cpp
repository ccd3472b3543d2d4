// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/event_stream.hpp"

#include <condition_variable>
#include <mutex>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/ask.hpp"
#include "api/json_results.hpp"

namespace flow29::api {
namespace {

using namespace std::chrono_literals;

constexpr auto tick = 250ms;
constexpr auto second = 1s;
constexpr auto sign_of_life = 10s;
constexpr int objects_share = 10;  // they are listed for at most this part of the time

std::string text_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The list alone of an answer that has one.
template <class T>
std::string list_of(const T& answer, const char* field) {
    return text_of(to_json(answer)[field]);
}

Bytes bytes_of(const std::string& text) {
    const auto* const data = reinterpret_cast<const std::uint8_t*>(text.data());
    return Bytes(data, data + text.size());
}

}  // namespace

EventStream::EventStream(Node& node, Jobs& jobs, std::shared_ptr<std::atomic<unsigned>> open,
                         std::stop_token stop)
    : node_(node), jobs_(jobs), open_(std::move(open)), stop_(std::move(stop)) {
    next_tick_ = next_second_ = next_objects_ = Clock::now();
    next_sign_ = next_tick_ + sign_of_life;
}

EventStream::~EventStream() {
    --*open_;
}

void EventStream::wait_until(Clock::time_point time) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_until(lock, stop_, time, [] { return false; });
}

void EventStream::add(const char* name, std::string text) {
    auto& said = said_[name];
    if (said == text) return;
    update_ += fmt::format(",\"{}\":{}", name, text);
    said = std::move(text);
}

void EventStream::add_objects() {
    if (!listing_.valid()) {
        listing_since_ = Clock::now();
        const auto promise = std::make_shared<std::promise<Result<std::vector<ObjectEntry>>>>();
        listing_ = promise->get_future();
        node_.objects([promise](auto objects) { promise->set_value(std::move(objects)); });
    }
    if (listing_.wait_for(0s) != std::future_status::ready) return;
    const auto objects = listing_.get();
    const auto now = Clock::now();
    next_objects_ = std::max(now + second, now + objects_share * (now - listing_since_));
    if (!objects) return;
    std::string rows;
    std::set<std::string> seen;
    const Json listed = to_json(*objects)["objects"];
    for (const Json& row : listed) {
        const auto root = row["root"].get<std::string>();
        seen.insert(root);
        std::string text = text_of(row);
        auto& said = objects_[root];
        if (said == text) continue;
        rows += (rows.empty() ? "" : ",") + text;
        said = std::move(text);
    }
    Json gone = Json::array();
    for (const auto& [root, text] : objects_)
        if (!seen.contains(root)) gone.push_back(root);
    for (const Json& root : gone)
        objects_.erase(root.get<std::string>());
    if (!has_listed_ || !rows.empty() || !gone.empty())
        update_ += fmt::format(",\"objects\":{{\"rows\":[{}],\"gone\":{}}}", rows, text_of(gone));
    has_listed_ = true;
}

void EventStream::collect() {
    const auto now = Clock::now();
    update_.clear();
    if (const auto transfers = ask(node_, &Node::transfers, stop_))
        add("transfers", list_of(*transfers, "transfers"));
    add("jobs", jobs_.list());
    if (now >= next_second_) {
        next_second_ = now + second;
        if (const auto status = ask(node_, &Node::status, stop_))
            add("status", text_of(to_json(*status)));
        if (const auto peers = ask(node_, &Node::peers, stop_)) {
            const Json json = to_json(*peers);
            for (const char* const list : {"peers", "dropped"})
                add(list, text_of(json[list]));
        }
    }
    if (version_ > 0 && now >= next_objects_) add_objects();
}

std::optional<Bytes> EventStream::next() {
    while (!stop_.stop_requested()) {
        wait_until(next_tick_);
        next_tick_ = Clock::now() + tick;
        collect();
        if (stop_.stop_requested()) break;
        const bool is_due = Clock::now() >= next_sign_;
        if (update_.empty() && !is_due) continue;
        next_sign_ = Clock::now() + sign_of_life;
        if (update_.empty()) return bytes_of(":\n\n");
        ++version_;
        return bytes_of(fmt::format("id: {0}\nevent: update\ndata: {{\"version\":{0}{1}}}\n\n",
                                    version_, update_));
    }
    return std::nullopt;
}

}  // namespace flow29::api
