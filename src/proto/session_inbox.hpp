// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <deque>
#include <map>
#include <optional>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include <flow29/limits.hpp>
#include "proto/message.hpp"

namespace flow29::proto {

/// The requests of one peer that wait for their answers, and which of them may be worked on.
///
/// Rules:
/// 1. At most limits::requests_in_flight_per_peer_max at a time, each with a number of its own.
/// 2. Work on a request begins only while the bytes that running work may yield and those that wait
///    to be sent stay within limits::reply_bytes_max; when there are none, any one request may
///    begin. Rationale: a peer that asks and does not read must not fill memory. The bound is on
///    starting work and not on reading, since two ends that stop reading each other never start
///    again.
/// 3. Nor does it begin while its reply may weigh more than there is room for among those to all
///    peers: see ReplyBudget.
/// 4. First come, first begun.
class RequestInbox {
  public:
    struct Entry {
        std::uint64_t request = 0;
        Message message;
    };

    /// A request arrived. Errc::peer_misbehaved when it breaks rule 1.
    [[nodiscard]] Result<void> on_request(std::uint64_t request, Message message);
    /// The next request to work on, given the bytes of replies that wait to be sent, and what one
    /// more may weigh.
    [[nodiscard]] std::optional<Entry> poll_start(ByteCount waiting_to_be_sent, ByteCount room);
    /// Whether the next request waits only since there is no room for its reply.
    [[nodiscard]] bool is_short_of_room(ByteCount waiting_to_be_sent, ByteCount room) const;
    /// Work on a request ended and its reply was queued.
    void on_answered(std::uint64_t request);

    [[nodiscard]] std::size_t requests_in_flight() const {
        return waiting_.size() + running_.size();
    }
    /// What running work may yield.
    [[nodiscard]] ByteCount in_the_making() const { return reserved_; }
    void check_invariants() const;

  private:
    [[nodiscard]] bool may_begin(ByteCount weight, ByteCount waiting_to_be_sent) const;

    std::deque<Entry> waiting_;
    std::map<std::uint64_t, ByteCount> running_;  // and what each may yield
    ByteCount reserved_;
};

}  // namespace flow29::proto
