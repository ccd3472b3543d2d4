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
    next_tick_ = next_second_ = Clock::now();
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

bool EventStream::add(const char* name, std::string text) {
    auto& said = said_[name];
    if (said == text) return false;
    update_ += fmt::format(",\"{}\":{}", name, text);
    said = std::move(text);
    return true;
}

/// What is kept here, what is made, and who is there to count.
void EventStream::note_news(const Status& status, const std::vector<PeerInfo>& peers) {
    auto shown = fmt::format("{} {} {} {} {} {}", status.objects, status.extents, status.used.value,
                             status.under_target, status.repairs_in_flight, status.repaired.value);
    std::set<std::string> connected;
    for (const auto& peer : peers)
        if (peer.connected) connected.insert(to_hex(peer.node));
    for (const auto& node : connected)
        shown += " " + node;
    if (shown != shown_) pace_.on_news();
    shown_ = std::move(shown);
}

void EventStream::add_objects() {
    if (!listing_.valid()) {
        pace_.on_begun();
        const auto promise = std::make_shared<std::promise<Listing>>();
        listing_ = promise->get_future();
        node_.objects([promise, began = Clock::now()](auto objects) {
            promise->set_value({std::move(objects), Clock::now() - began});
        });
    }
    if (listing_.wait_for(0s) != std::future_status::ready) return;
    const auto [objects, cost] = listing_.get();
    const auto began = Clock::now();
    if (objects) add_rows(*objects);
    pace_.on_ended(Clock::now(), cost + (Clock::now() - began));
}

void EventStream::add_rows(const std::vector<ObjectEntry>& objects) {
    std::string rows;
    std::set<std::string> seen;
    const Json listed = to_json(objects)["objects"];
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
    const auto changes = jobs_.changes();
    bool is_news = changes_ != changes;
    changes_ = changes;
    if (const auto transfers = ask(node_, &Node::transfers, stop_))
        is_news = add("transfers", list_of(*transfers, "transfers")) || is_news;
    is_news = add("jobs", jobs_.list()) || is_news;
    if (is_news) pace_.on_news();
    if (now >= next_second_) {
        next_second_ = now + second;
        const auto status = ask(node_, &Node::status, stop_);
        if (status) add("status", text_of(to_json(*status)));
        const auto peers = ask(node_, &Node::peers, stop_);
        if (status && peers) note_news(*status, *peers);
        if (peers) {
            const Json json = to_json(*peers);
            for (const char* const list : {"peers", "dropped"})
                add(list, text_of(json[list]));
        }
    }
    if (version_ > 0 && (listing_.valid() || pace_.is_due(now))) add_objects();
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
