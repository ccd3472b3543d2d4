// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/session_inbox.hpp"

#include <flow29/limits.hpp>

#include "core/assert.hpp"
#include "core/layout.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace flow29::proto {
namespace {

/// What the reply to a request may weigh.
ByteCount reply_bytes(const Message& request) {
    if (const auto* const range = std::get_if<GetRange>(&request))
        return core::bytes_of(range->chunks, range->extent_length).count();
    if (std::holds_alternative<GetDescriptor>(request))
        return ByteCount(limits::descriptor_bytes_max);
    if (std::holds_alternative<GetHolders>(request)) return ByteCount(limits::frame_head_bytes_max);
    return ByteCount(limits::frame_head_bytes_max / 16);
}

}  // namespace

Result<void> RequestInbox::on_request(std::uint64_t request, Message message) {
    if (requests_in_flight() >= limits::requests_in_flight_per_peer_max)
        return fail(Errc::peer_misbehaved, "too many requests in flight");
    const auto same = [request](const Entry& entry) { return entry.request == request; };
    if (running_.contains(request) || std::any_of(waiting_.begin(), waiting_.end(), same))
        return fail(Errc::peer_misbehaved, fmt::format("request number {} used twice", request));
    waiting_.push_back({request, std::move(message)});
    return {};
}

bool RequestInbox::may_begin(ByteCount weight, ByteCount waiting_to_be_sent) const {
    const ByteCount owed = reserved_ + waiting_to_be_sent;
    return owed.value == 0 || (owed + weight).value <= limits::reply_bytes_max;
}

bool RequestInbox::is_short_of_room(ByteCount waiting_to_be_sent, ByteCount room) const {
    if (waiting_.empty()) return false;
    const ByteCount weight = reply_bytes(waiting_.front().message);
    return weight > room && may_begin(weight, waiting_to_be_sent);
}

std::optional<RequestInbox::Entry> RequestInbox::poll_start(ByteCount waiting_to_be_sent,
                                                            ByteCount room) {
    if (waiting_.empty()) return std::nullopt;
    const ByteCount weight = reply_bytes(waiting_.front().message);
    if (weight > room || !may_begin(weight, waiting_to_be_sent)) return std::nullopt;
    Entry entry = std::move(waiting_.front());
    waiting_.pop_front();
    running_.emplace(entry.request, weight);
    reserved_ += weight;
    return entry;
}

void RequestInbox::on_answered(std::uint64_t request) {
    const auto found = running_.find(request);
    FLOW29_ASSERT(found != running_.end());
    reserved_ -= found->second;
    running_.erase(found);
}

void RequestInbox::check_invariants() const {
    FLOW29_ASSERT(requests_in_flight() <= limits::requests_in_flight_per_peer_max);
    ByteCount sum;
    for (const auto& [request, weight] : running_)
        sum += weight;
    FLOW29_ASSERT(sum == reserved_);
    FLOW29_ASSERT(running_.size() <= 1 || reserved_.value <= limits::reply_bytes_max);
}

}  // namespace flow29::proto
