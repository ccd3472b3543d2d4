// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/session.hpp"

#include "core/assert.hpp"
#include "core/layout.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace flow29::proto {
namespace {

template <class Alternative, std::size_t Type = 0>
constexpr std::size_t type_of() {
    if constexpr (std::is_same_v<Alternative, std::variant_alternative_t<Type, Message>>)
        return Type;
    else
        return type_of<Alternative, Type + 1>();
}

PeerSession::Violation violation(std::string text) {
    return {Error{Errc::peer_misbehaved, std::move(text)}};
}

// A body follows these alone.
bool may_have_body(const Message& message) {
    return std::holds_alternative<RangeReply>(message) ||
           std::holds_alternative<DescriptorReply>(message) ||
           std::holds_alternative<KeptList>(message);
}

}  // namespace

void RttEstimate::add(Duration sample) {
    if (smoothed_ == Duration{}) {
        smoothed_ = std::max(sample, Duration(1));
        variation_ = sample / 2;
        return;
    }
    const Duration error = std::chrono::abs(smoothed_ - sample);
    variation_ = (3 * variation_ + error) / 4;
    smoothed_ = std::max((7 * smoothed_ + sample) / 8, Duration(1));
}

PeerSession::PeerSession(Options options)
    : peer_key_(options.peer_key), received_at_(options.now), next_ping_(options.now) {}

PeerSession::Event PeerSession::on_head(Head head, ByteCount body, TimePoint now,
                                        WallTime wall_now) {
    received_at_ = now;
    FLOW29_ASSERT(!arriving_);
    if (body.value != 0 && !may_have_body(head.message))
        return violation(fmt::format("{} with a body", message_name(head.message)));
    if (auto* const hello = std::get_if<Hello>(&head.message)) {
        if (ready_) return violation("a second hello");
        return on_hello(std::move(*hello), wall_now);
    }
    if (!ready_) return violation(fmt::format("{} before hello", message_name(head.message)));
    if (const auto* const update = std::get_if<UpdateRecord>(&head.message))
        if (auto problem = check_update(update->record, now, wall_now))
            return violation(std::move(*problem));
    if (std::holds_alternative<proto::Ping>(head.message)) return PingAsked{head.request};
    if (is_reply(head.message)) return on_reply(std::move(head), body, now);
    if (is_request(head.message)) return Asked{head.request, std::move(head.message)};
    return Notified{std::move(head.message)};
}

PeerSession::Event PeerSession::on_hello(Hello hello, WallTime wall_now) {
    if (hello.version == 0) return violation("hello of version 0");
    if (hello.record.key != peer_key_) return violation("hello with another node's record");
    const auto skew = from_unix_ms(hello.unix_ms) - wall_now;
    if (!within_record_window(hello.record.expires, wall_now))
        return violation(
            fmt::format("hello with a record outside its time window; the clocks differ by {} s",
                        std::chrono::duration_cast<std::chrono::seconds>(skew).count()));
    ready_ = true;
    return Ready{std::move(hello), skew};
}

std::optional<std::string> PeerSession::check_update(const NodeRecord& record, TimePoint now,
                                                     WallTime wall_now) {
    if (record.key != peer_key_) return "update_record with another node's record";
    if (!within_record_window(record.expires, wall_now))
        return "update_record with a record outside its time window";
    if (now >= updates_counted_until_) {
        updates_ = 0;
        updates_counted_until_ = now + std::chrono::hours(1);
    }
    if (++updates_ > limits::record_updates_max) return "too many update_record";
    return std::nullopt;
}

PeerSession::Event PeerSession::on_reply(Head head, ByteCount body, TimePoint now) {
    if (ping_ && ping_->request == head.request) {
        if (!std::holds_alternative<Pong>(head.message))
            return violation(fmt::format("{} to a ping", message_name(head.message)));
        rtt_.add(now - ping_->sent);
        ping_.reset();
        return Ignored{};
    }
    if (late_.erase(head.request) != 0) return Ignored{};
    const auto found = open_.find(head.request);
    if (found == open_.end())
        return violation(fmt::format("{} that nobody asked for", message_name(head.message)));
    if (!fits(found->second.expected, head.message, body))
        return violation(
            fmt::format("{} that does not fit its request", message_name(head.message)));
    if (body.value == 0)
        open_.erase(found);
    else
        arriving_ = head.request;
    return Answered{head.request, std::move(head.message)};
}

void PeerSession::on_body_end() {
    if (!arriving_) return;
    // It may have timed out while its body was under way.
    open_.erase(*arriving_);
    late_.erase(*arriving_);
    arriving_.reset();
}

PeerSession::Expected PeerSession::expected_reply(const Message& request) {
    Expected expected;
    if (const auto* const range = std::get_if<GetRange>(&request)) {
        expected.type = type_of<RangeReply>();
        expected.body_min = core::bytes_of(range->chunks, range->extent_length).count().value;
        expected.body_max = expected.body_min;
    } else if (std::holds_alternative<GetDescriptor>(request)) {
        expected.type = type_of<DescriptorReply>();
        expected.body_min = 1;
        expected.body_max = limits::descriptor_bytes_max;
    } else if (const auto* const holders = std::get_if<GetHolders>(&request)) {
        expected.type = type_of<HolderTable>();
        expected.root = holders->root;
    } else if (const auto* const have = std::get_if<Have>(&request)) {
        expected.type = type_of<HaveReply>();
        expected.items = have->items.size();
    } else if (const auto* const invite = std::get_if<Invite>(&request)) {
        expected.type = type_of<InviteReply>();
        expected.items = invite->items.size();
    } else if (std::holds_alternative<GetClosest>(request)) {
        expected.type = type_of<ClosestReply>();
    } else if (std::holds_alternative<UpdateLease>(request)) {
        expected.type = type_of<LeaseReply>();
    } else if (std::holds_alternative<GetLeases>(request)) {
        expected.type = type_of<Leases>();
    } else if (std::holds_alternative<GetKept>(request)) {
        expected.type = type_of<KeptList>();
        expected.body_max = limits::frame_body_bytes_max;
    } else if (std::holds_alternative<GetHinted>(request)) {
        expected.type = type_of<HolderTable>();
    } else if (std::holds_alternative<Pledge>(request)) {
        expected.type = type_of<PledgeReply>();
    } else if (std::holds_alternative<DialBack>(request)) {
        expected.type = type_of<DialBackReply>();
    } else {
        expected.type = type_of<Pong>();
    }
    return expected;
}

bool PeerSession::fits(const Expected& expected, const Message& reply, ByteCount body) {
    if (std::holds_alternative<Failure>(reply)) return true;
    if (reply.index() != expected.type) return false;
    if (body.value < expected.body_min || body.value > expected.body_max) return false;
    if (const auto* const held = std::get_if<HaveReply>(&reply))
        return held->items.size() == expected.items;
    if (const auto* const invited = std::get_if<InviteReply>(&reply))
        return invited->answers.size() == expected.items;
    if (const auto* const table = std::get_if<HolderTable>(&reply))
        return table->root == expected.root;
    return true;
}

Result<std::uint64_t> PeerSession::open_request(const Message& message, Duration idle_timeout,
                                                TimePoint now) {
    FLOW29_ASSERT(is_request(message));
    if (requests_in_flight() >= limits::requests_in_flight_per_peer_max)
        return fail(Errc::peer_busy, "too many requests to this peer are open");
    const std::uint64_t number = next_request_++;
    open_.emplace(number, Request{expected_reply(message), now, idle_timeout});
    return number;
}

std::optional<std::uint64_t> PeerSession::poll_ping(TimePoint now) {
    if (!ready_ || now < next_ping_) return std::nullopt;
    next_ping_ = now + limits::ping_interval;
    if (!ping_) {
        ping_ = Ping{next_request_++, now};
        return ping_->request;
    }
    if (requests_in_flight() >= limits::requests_in_flight_per_peer_max) return std::nullopt;
    late_.insert(next_request_);
    return next_request_++;
}

TimePoint PeerSession::idle_deadline(const Request& request) const {
    return std::max(request.opened, received_at_) + request.idle_timeout;
}

std::optional<std::uint64_t> PeerSession::poll_timed_out(TimePoint now) {
    const auto found = std::find_if(open_.begin(), open_.end(), [&](const auto& entry) {
        return idle_deadline(entry.second) <= now;
    });
    if (found == open_.end()) return std::nullopt;
    const std::uint64_t number = found->first;
    open_.erase(found);
    late_.insert(number);
    return number;
}

std::optional<Error> PeerSession::poll_dead(TimePoint now) const {
    if (now < received_at_ + silence_max) return std::nullopt;
    return Error{Errc::timed_out, "the peer has been silent for too long"};
}

TimePoint PeerSession::next_deadline() const {
    TimePoint deadline = received_at_ + silence_max;
    if (ready_) deadline = std::min(deadline, next_ping_);
    for (const auto& [number, request] : open_)
        deadline = std::min(deadline, idle_deadline(request));
    return deadline;
}

void PeerSession::check_invariants() const {
    FLOW29_ASSERT(requests_in_flight() <= limits::requests_in_flight_per_peer_max);
    FLOW29_ASSERT(ready_ || !ping_);
    FLOW29_ASSERT(open_.empty() || open_.rbegin()->first < next_request_);
    FLOW29_ASSERT(late_.empty() || *late_.rbegin() < next_request_);
    FLOW29_ASSERT(!ping_ || !open_.contains(ping_->request));
    for (const std::uint64_t number : late_)
        FLOW29_ASSERT(!open_.contains(number));
    if (arriving_) FLOW29_ASSERT(open_.contains(*arriving_) || late_.contains(*arriving_));
}

}  // namespace flow29::proto
