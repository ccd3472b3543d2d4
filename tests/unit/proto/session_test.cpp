// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/session.hpp"

#include <flow29/limits.hpp>

#include "proto/session_inbox.hpp"
#include "samples.hpp"

#include <doctest/doctest.h>

#include <random>
#include <set>

namespace flow29::proto {
namespace {

using namespace std::chrono_literals;

const WallTime wall_now = from_unix_ms(sample_now_ms);

TimePoint at(Duration since_start) {
    return TimePoint(1000s + since_start);
}

PeerSession fresh_session() {
    return PeerSession({.peer_key = sample_identity().public_key(), .now = at(0s)});
}

PeerSession::Event receive(PeerSession& session, std::uint64_t request, Message message,
                           std::uint64_t body = 0, TimePoint now = at(0s)) {
    auto event = session.on_head({request, std::move(message)}, ByteCount(body), now, wall_now);
    session.check_invariants();
    return event;
}

Hello sample_hello() {
    return {1, sample_record(), sample_v6(), sample_now_ms + 5, "test"};
}

PeerSession ready_session() {
    PeerSession session = fresh_session();
    const auto event = receive(session, 0, sample_hello());
    REQUIRE(std::holds_alternative<PeerSession::Ready>(event));
    return session;
}

bool violates(const PeerSession::Event& event) {
    const auto* const violation = std::get_if<PeerSession::Violation>(&event);
    return violation != nullptr && violation->error.code == Errc::peer_misbehaved;
}

std::uint64_t open_range(PeerSession& session, std::uint64_t chunks = 2, Duration idle = 20s) {
    const GetRange get{sample_id<ExtentHash>(1), ByteCount(1000), {{}, ChunkIndex(chunks)}};
    const auto number = session.open_request(get, idle, at(0s));
    REQUIRE(number);
    session.check_invariants();
    return *number;
}

TEST_CASE("a session is ready after the peer's hello and tells how its clock differs") {
    PeerSession session = fresh_session();
    CHECK_FALSE(session.ready());
    CHECK_FALSE(session.poll_ping(at(10s)));
    const auto event = receive(session, 0, sample_hello());
    REQUIRE(std::holds_alternative<PeerSession::Ready>(event));
    CHECK(std::get<PeerSession::Ready>(event).clock_skew == 5ms);
    CHECK(session.ready());
}

TEST_CASE("nothing counts before hello, and hello comes once") {
    for (const Message& message : sample_messages()) {
        if (std::holds_alternative<Hello>(message)) continue;
        PeerSession session = fresh_session();
        CHECK(violates(receive(session, number_for(message), message)));
    }
    PeerSession session = ready_session();
    CHECK(violates(receive(session, 0, sample_hello())));
}

TEST_CASE("a request may go out behind our hello, and its reply counts after the peer's") {
    PeerSession session = fresh_session();
    const auto number = open_range(session);
    CHECK(receive(session, 0, sample_hello()).index() ==
          PeerSession::Event(PeerSession::Ready{}).index());
    const auto event = receive(session, number, RangeReply{}, 1000);
    REQUIRE(std::holds_alternative<PeerSession::Answered>(event));
    CHECK(std::get<PeerSession::Answered>(event).request == number);

    PeerSession hasty = fresh_session();
    const auto early = open_range(hasty);
    CHECK(violates(receive(hasty, early, RangeReply{}, 1000)));
}

TEST_CASE("a hello must carry a current record of the key that TLS proved") {
    Hello hello = sample_hello();
    const auto other = core::Identity::generate();
    hello.record.sign(*other);
    PeerSession session = fresh_session();
    CHECK(violates(receive(session, 0, hello)));
    for (const auto expires : {-1h, 24h * 30}) {
        hello = sample_hello();
        hello.record.expires = wall_now + expires;
        session = fresh_session();
        CHECK(violates(receive(session, 0, hello)));
        CHECK_FALSE(session.ready());
    }
}

TEST_CASE("a record that replaces the hello's must be current and of the same key") {
    PeerSession session = ready_session();
    UpdateRecord update{sample_record()};
    CHECK(std::holds_alternative<PeerSession::Notified>(receive(session, 0, update)));
    const auto other = core::Identity::generate();
    update.record.sign(*other);
    CHECK(violates(receive(session, 0, update)));
    for (const auto expires : {-1h, 24h * 30}) {
        update = {sample_record()};
        update.record.expires = wall_now + expires;
        session = ready_session();
        CHECK(violates(receive(session, 0, update)));
    }
}

TEST_CASE("so many records replace the hello's in an hour, and the next one breaks the rules") {
    PeerSession session = ready_session();
    const UpdateRecord update{sample_record()};
    for (unsigned i = 0; i < limits::record_updates_max; ++i)
        REQUIRE_FALSE(violates(receive(session, 0, update)));
    SUBCASE("within the hour") {
        CHECK(violates(receive(session, 0, update, 0, at(1h - 1ms))));
    }
    SUBCASE("after it") {
        CHECK_FALSE(violates(receive(session, 0, update, 0, at(1h))));
    }
}

TEST_CASE("a reply must fit its request in kind and size") {
    struct Case {
        std::uint64_t body;
        Message reply;
        bool fits;
    };
    const Case cases[] = {
        {1000, RangeReply{}, true},       {999, RangeReply{}, false}, {1001, RangeReply{}, false},
        {0, RangeReply{}, false},         {0, Failure{}, true},       {1, Failure{}, false},
        {1000, DescriptorReply{}, false}, {0, Pong{}, false},         {0, HaveReply{}, false},
    };
    for (const Case& c : cases) {
        PeerSession session = ready_session();
        const std::uint64_t number = open_range(session);
        CHECK(violates(receive(session, number, c.reply, c.body)) == !c.fits);
        session.on_body_end();
        session.check_invariants();
        CHECK(session.requests_in_flight() == (c.fits ? 0 : 1));
    }
}

TEST_CASE("replies of lists answer each item asked, a holder table the object asked") {
    PeerSession session = ready_session();
    const ItemId item = ItemId::of(sample_id<ExtentHash>(1));
    const auto ask = [&](const Message& request) {
        return *session.open_request(request, 20s, at(0s));
    };
    const Have have{{item, item}};
    CHECK(violates(receive(session, ask(have), HaveReply{{Holding::kept}})));
    CHECK_FALSE(violates(receive(session, ask(have), HaveReply{{Holding::kept, Holding::lacks}})));
    const Invite invite{sample_lease(), {{item, ByteCount(1)}}, {}, false};
    CHECK(violates(receive(session, ask(invite), InviteReply{})));
    CHECK_FALSE(violates(receive(session, ask(invite), InviteReply{{InviteAnswer::full}})));
    const GetHolders holders{sample_id<RootHash>(1), 0, 1};
    CHECK(violates(receive(session, ask(holders), HolderTable{sample_id<RootHash>(2), {}, {}})));
    CHECK_FALSE(
        violates(receive(session, ask(holders), HolderTable{sample_id<RootHash>(1), {}, {}})));
}

TEST_CASE("a reply that nobody asked for, or a second one, is a violation") {
    PeerSession session = ready_session();
    CHECK(violates(receive(session, 99, LeaseReply{})));
    const auto number = session.open_request(UpdateLease{sample_lease()}, 20s, at(0s));
    CHECK_FALSE(violates(receive(session, *number, LeaseReply{})));
    CHECK(violates(receive(session, *number, LeaseReply{})));
}

TEST_CASE("only range and descriptor replies have a body") {
    for (const Message& message : sample_messages()) {
        PeerSession session = ready_session();
        const bool may = std::holds_alternative<RangeReply>(message) ||
                         std::holds_alternative<DescriptorReply>(message);
        if (!may) CHECK(violates(receive(session, number_for(message), message, 1)));
    }
    PeerSession session = ready_session();
    const auto number = session.open_request(GetDescriptor{}, 20s, at(0s));
    CHECK(violates(receive(session, *number, DescriptorReply{}, limits::descriptor_bytes_max + 1)));
    CHECK_FALSE(
        violates(receive(session, *number, DescriptorReply{}, limits::descriptor_bytes_max)));
}

TEST_CASE("requests in flight are bounded until their replies are complete") {
    PeerSession session = ready_session();
    std::uint64_t last = 0;
    for (unsigned i = 0; i < limits::requests_in_flight_per_peer_max; ++i) {
        const std::uint64_t number = open_range(session);
        CHECK(number > last);
        last = number;
    }
    const auto more = session.open_request(GetDescriptor{}, 20s, at(0s));
    REQUIRE_FALSE(more);
    CHECK(more.error().code == Errc::peer_busy);
    CHECK_FALSE(violates(receive(session, last, RangeReply{}, 1000)));
    CHECK_FALSE(session.open_request(GetDescriptor{}, 20s, at(0s)));
    session.on_body_end();
    CHECK(session.open_request(GetDescriptor{}, 20s, at(0s)).has_value());
}

TEST_CASE("a request times out when nothing at all arrives, and its late reply is passed over") {
    PeerSession session = ready_session();
    const std::uint64_t number = open_range(session, 2, 5s);
    CHECK_FALSE(session.poll_timed_out(at(5s) - 1ns));
    session.on_received(at(3s));
    CHECK_FALSE(session.poll_timed_out(at(8s) - 1ns));
    CHECK(session.next_deadline() <= at(8s));
    CHECK(session.poll_timed_out(at(8s)) == number);
    CHECK_FALSE(session.poll_timed_out(at(8s)));
    session.check_invariants();
    // The peer still works on it.
    CHECK(session.requests_in_flight() == 1);
    const auto event = receive(session, number, RangeReply{}, 1000, at(9s));
    CHECK(std::holds_alternative<PeerSession::Ignored>(event));
    session.on_body_end();
    CHECK(session.requests_in_flight() == 0);
    CHECK(violates(receive(session, number, RangeReply{}, 1000, at(9s))));
}

TEST_CASE("a request whose body stands still times out once, and the rest is passed over") {
    PeerSession session = ready_session();
    const std::uint64_t number = open_range(session, 2, 5s);
    const auto event = receive(session, number, RangeReply{}, 1000, at(1s));
    CHECK(std::holds_alternative<PeerSession::Answered>(event));
    CHECK(session.poll_timed_out(at(6s)) == number);
    session.check_invariants();
    session.on_body_end();
    session.check_invariants();
    CHECK(session.requests_in_flight() == 0);
}

TEST_CASE("pings go on although the last one waits behind a long body, and its answer counts") {
    PeerSession session = ready_session();
    const auto first = session.poll_ping(at(0s));
    REQUIRE(first);
    CHECK(session.next_deadline() == at(limits::ping_interval));
    std::vector<std::uint64_t> later;
    for (int i = 1; i <= 3; ++i) {
        const auto due = at(i * limits::ping_interval);
        // Octets of the body go on coming.
        session.on_received(due);
        CHECK_FALSE(session.poll_ping(due - 1ns));
        const auto ping = session.poll_ping(due);
        REQUIRE(ping);
        later.push_back(*ping);
        CHECK_FALSE(session.poll_ping(due));
        session.check_invariants();
    }
    const auto answer = [&](std::uint64_t ping) {
        CHECK(std::holds_alternative<PeerSession::Ignored>(
            receive(session, ping, Pong{}, 0, at(10s))));
    };
    answer(*first);
    CHECK(session.rtt().smoothed() == Duration(10s));
    for (const auto ping : later)
        answer(ping);
    CHECK(session.rtt().smoothed() == Duration(10s));
    CHECK(session.requests_in_flight() == 0);
}

TEST_CASE("pings go out at their interval and measure the round trip") {
    PeerSession session = ready_session();
    const auto first = session.poll_ping(at(0s));
    REQUIRE(first);
    CHECK_FALSE(session.poll_ping(at(1s)));
    CHECK_FALSE(session.poll_ping(at(limits::ping_interval) - 1ns));
    CHECK(session.rtt().smoothed() == Duration{});
    CHECK_FALSE(violates(receive(session, *first, Pong{}, 0, at(100ms))));
    CHECK(session.rtt().smoothed() == 100ms);
    CHECK_FALSE(session.poll_ping(at(limits::ping_interval) - 1ns));
    CHECK(session.next_deadline() == at(limits::ping_interval));
    const auto second = session.poll_ping(at(limits::ping_interval));
    REQUIRE(second);
    CHECK(*second != *first);
    CHECK(violates(receive(session, *second, LeaseReply{}, 0, at(4s))));
    CHECK(violates(receive(session, *first, Pong{}, 0, at(4s))));
}

TEST_CASE("the round trip is smoothed as RFC 6298 says") {
    RttEstimate rtt;
    rtt.add(80ms);
    CHECK(rtt.smoothed() == 80ms);
    CHECK(rtt.variation() == 40ms);
    rtt.add(160ms);
    CHECK(rtt.variation() == 50ms);
    CHECK(rtt.smoothed() == 90ms);
}

TEST_CASE("a silent peer is given up, one that sends anything is not") {
    PeerSession session = ready_session();
    CHECK_FALSE(session.poll_dead(at(PeerSession::silence_max) - 1ns));
    CHECK(session.poll_dead(at(PeerSession::silence_max)).has_value());
    session.on_received(at(5s));
    CHECK_FALSE(session.poll_dead(at(PeerSession::silence_max)));
    const auto dead = session.poll_dead(at(5s + PeerSession::silence_max));
    REQUIRE(dead);
    CHECK(dead->code == Errc::timed_out);
}

TEST_CASE("a session keeps its invariants under any sequence of events") {
    std::mt19937_64 random(37);
    const auto messages = sample_messages();
    for (int run = 0; run < 200; ++run) {
        CAPTURE(run);
        PeerSession session = ready_session();
        Duration time{};
        std::set<std::uint64_t> asked;
        bool in_body = false;
        for (int step = 0; step < 200; ++step) {
            time += Duration(random() % 500'000'000);
            const TimePoint now = at(time);
            const std::uint64_t choice = random() % 6;
            if (choice == 0) {
                const auto number = session.open_request(GetDescriptor{}, 1s, now);
                if (number) CHECK(asked.insert(*number).second);
            } else if (choice == 1) {
                const auto late = session.poll_timed_out(now);
                if (late) CHECK(asked.contains(*late));
            } else if (choice == 2) {
                static_cast<void>(session.poll_ping(now));
            } else if (choice == 3 && in_body) {
                session.on_body_end();
                in_body = false;
            } else if (!in_body) {
                const std::uint64_t number = 1 + random() % 20;
                Message message = messages[random() % messages.size()];
                if (choice == 4) message = DescriptorReply{};
                const ByteCount body(choice == 4 ? 1 : 0);
                const auto event = session.on_head({number, message}, body, now, wall_now);
                in_body = std::holds_alternative<PeerSession::Answered>(event) && body.value != 0;
            }
            session.check_invariants();
        }
    }
}

constexpr ByteCount plenty{limits::owed_bytes_max};

TEST_CASE("an inbox refuses too many requests and a number used twice") {
    RequestInbox inbox;
    CHECK(inbox.on_request(1, GetDescriptor{}).has_value());
    CHECK(inbox.on_request(1, GetDescriptor{}).error().code == Errc::peer_misbehaved);
    for (unsigned i = 2; i <= limits::requests_in_flight_per_peer_max; ++i)
        REQUIRE(inbox.on_request(i, GetClosest{}).has_value());
    CHECK(inbox.on_request(1000, GetClosest{}).error().code == Errc::peer_misbehaved);
    const auto entry = inbox.poll_start(ByteCount(0), plenty);
    REQUIRE(entry);
    CHECK(entry->request == 1);
    CHECK(inbox.on_request(1, GetDescriptor{}).error().code == Errc::peer_misbehaved);
    inbox.on_answered(1);
    CHECK(inbox.on_request(1, GetDescriptor{}).has_value());
    inbox.check_invariants();
}

TEST_CASE("an inbox begins work while its replies and those waiting stay within the bound") {
    RequestInbox inbox;
    const GetRange mebibyte{
        sample_id<ExtentHash>(1), ByteCount(limits::extent_bytes_max), {{}, ChunkIndex(2048)}};
    for (unsigned i = 1; i <= 20; ++i)
        REQUIRE(inbox.on_request(i, mebibyte).has_value());
    // One may always begin, whatever its size, when nothing else is owed; not otherwise.
    CHECK_FALSE(inbox.poll_start(ByteCount(limits::reply_bytes_max), plenty));
    for (unsigned i = 1; i <= 7; ++i)
        CHECK(inbox.poll_start(ByteCount(1 << 20), plenty).has_value());
    CHECK_FALSE(inbox.poll_start(ByteCount(1 << 20), plenty));
    CHECK(inbox.poll_start(ByteCount(0), plenty).has_value());
    CHECK_FALSE(inbox.poll_start(ByteCount(0), plenty));
    inbox.check_invariants();
    inbox.on_answered(1);
    CHECK(inbox.poll_start(ByteCount(0), plenty)->request == 9);
    inbox.check_invariants();

    // Short of room only when nothing else is in the way.
    const ByteCount less((1 << 20) - 1);
    CHECK_FALSE(inbox.is_short_of_room(ByteCount(0), less));
    inbox.on_answered(9);
    CHECK(inbox.is_short_of_room(ByteCount(0), less));
    CHECK_FALSE(inbox.poll_start(ByteCount(0), less));
    CHECK_FALSE(inbox.is_short_of_room(ByteCount(0), plenty));
    CHECK(inbox.poll_start(ByteCount(0), plenty)->request == 10);
}

}  // namespace
}  // namespace flow29::proto
