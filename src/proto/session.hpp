// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <variant>

#include <flow29/error.hpp>
#include <flow29/limits.hpp>
#include "core/time.hpp"
#include "proto/message.hpp"

namespace flow29::proto {

/// Smoothed round-trip time and its variation, as RFC 6298 §2 has them, without its timeout.
class RttEstimate {
  public:
    void add(Duration sample);
    /// 0 until the first sample.
    [[nodiscard]] Duration smoothed() const { return smoothed_; }
    [[nodiscard]] Duration variation() const { return variation_; }

  private:
    Duration smoothed_{};
    Duration variation_{};
};

/// One authenticated connection, from the end of its TLS handshake on: which messages may come,
/// what they answer, and when to give up. It owns no bytes and no clock.
///
/// Rules:
/// 1. The first message of the peer is a Hello, no later one is; its record is of the key that TLS
///    proved and within its window.
///    Rationale: a record replayed from another node would otherwise redirect whoever believes it.
/// 2. A reply names a request of ours that is still open and is of the kind, and as far as it shows
///    of the size, that the request calls for, or a Failure. Anything else is a violation.
///    Rationale: the size is known before a byte of a body is allocated for.
/// 3. A request whose idle timeout passes without one octet from the peer fails, and its late reply
///    is passed over. Until that comes it still counts as in flight.
///    Rationale: the peer is still working on it, so the bound on what it holds for us stays true.
/// 4. A record that replaces the one of the Hello obeys the same, and at most
///    limits::record_updates_max come in an hour.
///    Rationale: with each of them all that lacks copies may be placed anew.
/// 5. At most limits::requests_in_flight_per_peer_max requests are open; pings are beside that
/// count.
/// 6. Once ready, a ping goes out every limits::ping_interval, whether or not the last one was
///    answered: that may wait behind a long body on a slow line, and while it does, the peer has
///    nothing else to hear. The oldest unanswered one measures the round trip. Silence for
///    `silence_max` ends the connection.
///    Rationale: each end pings and the octets of a long body count too, so only a dead end or path
///    is silent. A stopped process shows in no other way: its kernel goes on acknowledging.
///
/// Every member takes O(log requests), except next_deadline and poll_timed_out: O(requests).
class PeerSession {
  public:
    static constexpr Duration silence_max = 3 * limits::ping_interval;

    struct Options {
        PublicKey peer_key;  ///< that TLS proved
        TimePoint now;
    };

    /// The peer's Hello: from now on requests may be made.
    struct Ready {
        Hello hello;
        std::chrono::milliseconds clock_skew{};  ///< the peer's clock minus ours
    };
    /// The reply to `request`; complete once its body, if any, is here.
    struct Answered {
        std::uint64_t request = 0;
        Message reply;
    };
    /// The peer asks; answer with the same number.
    struct Asked {
        std::uint64_t request = 0;
        Message message;
    };
    /// The peer pings: send a Pong with this number.
    struct PingAsked {
        std::uint64_t request = 0;
    };
    struct Notified {
        Message message;
    };
    /// Nothing to do but to pass over the body, if any.
    struct Ignored {};
    /// The peer broke a rule: end the connection.
    struct Violation {
        Error error;
    };
    using Event = std::variant<Ready, Answered, Asked, PingAsked, Notified, Ignored, Violation>;

    explicit PeerSession(Options options);

    /// A head arrived, and `body` octets will follow it.
    [[nodiscard]] Event on_head(Head head, ByteCount body, TimePoint now, WallTime wall_now);
    /// The body that followed the last head is complete.
    void on_body_end();
    /// Octets arrived, whatever they are.
    void on_received(TimePoint now) { received_at_ = now; }

    /// Opens a request and gives its number. Errors: peer_busy when too many are open.
    /// Requires is_request(message), and that our hello went out: the answer counts after the
    /// peer's.
    [[nodiscard]] Result<std::uint64_t> open_request(const Message& message, Duration idle_timeout,
                                                     TimePoint now);
    /// The number of a ping to send now.
    [[nodiscard]] std::optional<std::uint64_t> poll_ping(TimePoint now);
    /// A request that fails with timed_out now.
    [[nodiscard]] std::optional<std::uint64_t> poll_timed_out(TimePoint now);
    /// Why the connection ends now.
    [[nodiscard]] std::optional<Error> poll_dead(TimePoint now) const;
    /// When to poll next, unless something comes before. Receiving only ever moves it back.
    [[nodiscard]] TimePoint next_deadline() const;

    [[nodiscard]] bool ready() const { return ready_; }
    [[nodiscard]] std::size_t requests_in_flight() const { return open_.size() + late_.size(); }
    [[nodiscard]] const RttEstimate& rtt() const { return rtt_; }
    void check_invariants() const;

  private:
    /// What the reply to an open request must look like.
    struct Expected {
        std::size_t type = 0;     // position in Message
        std::uint64_t items = 0;  // of a reply that has one per item asked
        std::uint64_t body_min = 0;
        std::uint64_t body_max = 0;
        RootHash root;  // of a HolderTable
    };
    struct Request {
        Expected expected;
        TimePoint opened;
        Duration idle_timeout{};
    };
    struct Ping {
        std::uint64_t request = 0;
        TimePoint sent;
    };

    /// What is wrong with it, if anything.
    [[nodiscard]] std::optional<std::string> check_update(const NodeRecord& record, TimePoint now,
                                                          WallTime wall_now);
    [[nodiscard]] static Expected expected_reply(const Message& request);
    [[nodiscard]] static bool fits(const Expected& expected, const Message& reply, ByteCount body);
    [[nodiscard]] Event on_hello(Hello hello, WallTime wall_now);
    [[nodiscard]] Event on_reply(Head head, ByteCount body, TimePoint now);
    [[nodiscard]] TimePoint idle_deadline(const Request& request) const;

    PublicKey peer_key_;
    bool ready_ = false;
    TimePoint received_at_;
    std::uint64_t next_request_ = 1;
    std::map<std::uint64_t, Request> open_;
    std::set<std::uint64_t> late_;           // given up, reply still to come
    std::optional<std::uint64_t> arriving_;  // answered, its body under way; still in open_
    std::optional<Ping> ping_;
    TimePoint next_ping_;
    unsigned updates_ = 0;  // of its record, in this hour
    TimePoint updates_counted_until_ = TimePoint::min();
    RttEstimate rtt_;
};

}  // namespace flow29::proto
