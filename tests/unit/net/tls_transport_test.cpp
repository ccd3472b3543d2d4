// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tls_transport.hpp"

#include <flow29/limits.hpp>

#include "core/descriptor.hpp"
#include "echo_node.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace flow29::net {
namespace {

using namespace std::chrono_literals;

asio::awaitable<void> meet(AsioRuntime& runtime, EchoNode& a, EchoNode& b) {
    auto peer = co_await a.transport->connect(b.endpoint(), b.id(), core::dht_position(b.id()));
    REQUIRE(peer);
    CHECK((*peer)->id() == b.id());
    CHECK((*peer)->record().addresses == b.transport->listening());
    CHECK((*peer)->remote() == b.endpoint());
    CHECK((*peer)->dialled());
    CHECK((*peer)->open());
    CHECK(std::chrono::abs((*peer)->clock_skew()) < 60s);
    std::function<bool()> reached_1 = [&] { return b.peers.size() == 1; };
    co_await until(runtime, std::move(reached_1));
    CHECK(b.peers[0]->id() == a.id());
    CHECK_FALSE(b.peers[0]->dialled());
    REQUIRE(a.observed.size() == 1);
    CHECK(a.observed[0] == b.peers[0]->remote());
    REQUIRE(b.observed.size() == 1);
    CHECK(b.observed[0] == b.endpoint());
    // Either end may ask.
    proto::UpdateLease update;
    update.lease.root.bytes[0] = 1;
    update.lease.expires = runtime.wall_now() + 1h;
    update.lease.sign(a.identity());
    proto::Message there = update;
    auto answer = co_await (*peer)->request(std::move(there), 20s);
    REQUIRE(answer);
    CHECK(std::holds_alternative<proto::LeaseReply>(answer->message));
    proto::Message back = update;
    answer = co_await b.peers[0]->request(std::move(back), 20s);
    CHECK(answer.has_value());
    std::function<bool()> reached_2 = [&] { return (*peer)->traffic().rtt > Duration{}; };
    co_await until(runtime, std::move(reached_2));
    // A farewell goes out though the connection is closed at once.
    (*peer)->notify(proto::Goodbye{});
    (*peer)->close({Errc::interrupted, "enough"});
    (*peer)->close({Errc::interrupted, "twice"});
    std::function<bool()> reached_3 = [&] { return b.closed.size() == 1 && a.closed.size() == 1; };
    co_await until(runtime, std::move(reached_3));
    CHECK(a.closed[0].context == "enough");
    CHECK(b.notifications.size() == 1);
    proto::Message ping = proto::Ping{};
    auto refused = co_await (*peer)->request(std::move(ping), 20s);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::peer_unreachable);
}

asio::awaitable<void> ask_with_hello(AsioRuntime& runtime, EchoNode& a, EchoNode& b) {
    proto::Message question = whole_range(70'000);
    const auto opening = std::make_shared<Opening>(runtime, std::move(question), 20s);
    CHECK_FALSE(opening->sent());
    auto peer = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt, opening);
    REQUIRE(peer);
    CHECK(opening->sent());
    auto answer = co_await opening->reply();
    REQUIRE(answer);
    REQUIRE(answer->body.size() == 70'000);
    CHECK(answer->body.view()[69'999] == EchoNode::pattern(69'999));
    CHECK(b.requests == 1);
    // What the other end lacks, it says; the connection stays.
    proto::Message lacking = proto::GetDescriptor{};
    const auto second = std::make_shared<Opening>(runtime, std::move(lacking), 20s);
    auto again = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt, second);
    REQUIRE(again);
    auto refused = co_await second->reply();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::peer_lacks);
    CHECK((*again)->open());
    // Where somebody else lives nothing is asked.
    proto::Message unasked = whole_range(1);
    const auto third = std::make_shared<Opening>(runtime, std::move(unasked), 20s);
    auto wrong = co_await a.transport->connect(b.endpoint(), a.id(), std::nullopt, third);
    CHECK_FALSE(wrong);
    CHECK_FALSE(third->sent());
}

TEST_CASE("a first request goes out with the hello and is answered") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode b(stage.runtime, "127.0.0.1:0");
    stage.run(ask_with_hello(stage.runtime, a, b));
}

TEST_CASE("two nodes meet, prove themselves, and ask each other") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode b(stage.runtime, "127.0.0.1:0");
    stage.run(meet(stage.runtime, a, b));
}

asio::awaitable<void> meet_one_who_changes(AsioRuntime& runtime, EchoNode& a, EchoNode& b) {
    b.says_something_new = true;
    const auto peer = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt);
    REQUIRE(peer);
    const auto is_told = [&] { return (*peer)->record().sequence == b.record_sequence; };
    co_await until(runtime, is_told);
    CHECK(b.record_sequence == 3);
    CHECK(a.notifications.size() == 1);
    CHECK(b.notifications.empty());  // nothing new is said of the other one
}

TEST_CASE("what a node says of itself while it is being met is told as well") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode b(stage.runtime, "127.0.0.1:0");
    stage.run(meet_one_who_changes(stage.runtime, a, b));
}

asio::awaitable<void> meet_wrong_node(EchoNode& a, EchoNode& b, EchoNode& other) {
    auto peer = co_await a.transport->connect(b.endpoint(), other.id(), std::nullopt);
    REQUIRE_FALSE(peer);
    CHECK(peer.error().code == Errc::verification_failed);
    const DhtKey position = core::dht_position(other.id());
    peer = co_await a.transport->connect(b.endpoint(), std::nullopt, position);
    REQUIRE_FALSE(peer);
    CHECK(peer.error().code == Errc::verification_failed);
    peer = co_await a.transport->connect(a.endpoint(), std::nullopt, std::nullopt);
    REQUIRE_FALSE(peer);
    CHECK(peer.error().code == Errc::refused);
    peer = co_await a.transport->connect(b.endpoint(), a.id(), std::nullopt);
    REQUIRE_FALSE(peer);
    CHECK(peer.error().code == Errc::refused);
    const core::Endpoint nowhere;
    peer = co_await a.transport->connect(nowhere, std::nullopt, std::nullopt);
    REQUIRE_FALSE(peer);
    CHECK(peer.error().code == Errc::peer_unreachable);
    CHECK(a.peers.empty());
    CHECK(b.peers.empty());
}

TEST_CASE("a node at the address other than the expected one, or this very one, is refused") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode b(stage.runtime, "127.0.0.1:0");
    EchoNode other(stage.runtime, "127.0.0.1:0");
    stage.run(meet_wrong_node(a, b, other));
}

asio::awaitable<void> meet_liar(EchoNode& a, EchoNode& liar) {
    auto peer = co_await a.transport->connect(liar.endpoint(), liar.id(), std::nullopt);
    REQUIRE_FALSE(peer);
    CHECK(peer.error().code == Errc::peer_misbehaved);
    CHECK(a.peers.empty());
}

TEST_CASE("a hello with another node's record or an expired one ends the connection") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode liar(stage.runtime, "127.0.0.1:0");
    EchoNode victim(stage.runtime, "127.0.0.1:0");
    SUBCASE("another's") {
        liar.record_signer = &victim.identity();
    }
    SUBCASE("expired") {
        liar.record_lifetime = -1h;
    }
    SUBCASE("for ever") {
        liar.record_lifetime = 24h * 365;
    }
    stage.run(meet_liar(a, liar));
}

asio::awaitable<void> fetch_ranges(EchoNode& a, EchoNode& b) {
    auto peer = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt);
    REQUIRE(peer);
    for (const std::uint64_t bytes : {1ULL, 511ULL, 16'300ULL, 16'384ULL, 16'385ULL, 1ULL << 20}) {
        proto::Message get = whole_range(bytes);
        auto reply = co_await (*peer)->request(std::move(get), 20s);
        REQUIRE(reply);
        REQUIRE(reply->body.size() == bytes);
        bool same = true;
        for (std::size_t i = 0; i < bytes; ++i)
            same = same && reply->body.data()[i] == EchoNode::pattern(i);
        CHECK(same);
    }
    proto::Message get = proto::GetDescriptor{};
    auto lacks = co_await (*peer)->request(std::move(get), 20s);
    REQUIRE_FALSE(lacks);
    CHECK(lacks.error().code == Errc::peer_lacks);
    CHECK(lacks.error().context == "no such descriptor");
    CHECK((*peer)->traffic().bytes_down > 1 << 20);
}

TEST_CASE("replies carry bodies of every size, and failures their reason") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode b(stage.runtime, "127.0.0.1:0");
    stage.run(fetch_ranges(a, b));
}

asio::awaitable<void> fetch_one(PeerPtr peer, std::uint64_t bytes, std::size_t& right,
                                std::size_t& done) {
    proto::Message get = whole_range(bytes);
    auto reply = co_await peer->request(std::move(get), 60s);
    if (reply && reply->body.size() == bytes &&
        reply->body.data()[bytes - 1] == EchoNode::pattern(bytes - 1))
        ++right;
    ++done;
}

asio::awaitable<void> fetch_many(AsioRuntime& runtime, EchoNode& a, EchoNode& b) {
    auto peer = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt);
    REQUIRE(peer);
    std::function<bool()> reached_4 = [&] { return b.peers.size() == 1; };
    co_await until(runtime, std::move(reached_4));
    std::size_t right = 0;
    std::size_t done = 0;
    // Both ways at once, and more than the bound on queued replies: neither may wait for the other.
    for (std::size_t i = 1; i <= 200; ++i) {
        const std::uint64_t bytes = 1 + i * 997 * (i % 5) % (1 << 20);
        spawn(runtime, fetch_one(*peer, bytes, right, done));
        spawn(runtime, fetch_one(b.peers[0], bytes, right, done));
    }
    std::function<bool()> reached_5 = [&] { return done == 400; };
    co_await until(runtime, std::move(reached_5));
    CHECK(right == 400);
}

TEST_CASE("200 concurrent requests in each direction are all answered") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode b(stage.runtime, "127.0.0.1:0");
    stage.run(fetch_many(stage.runtime, a, b));
}

asio::awaitable<void> ask_in_vain(PeerPtr peer, Duration idle_timeout, std::vector<Errc>& results) {
    proto::Message get = proto::GetClosest{};
    auto reply = co_await peer->request(std::move(get), idle_timeout);
    results.push_back(reply ? Errc::ok : reply.error().code);
}

asio::awaitable<void> lose_peer(AsioRuntime& runtime, EchoNode& a, EchoNode& b) {
    auto peer = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt);
    REQUIRE(peer);
    std::vector<Errc> results;
    for (std::size_t i = 0; i < limits::requests_in_flight_per_peer_max + 1; ++i)
        spawn(runtime, ask_in_vain(*peer, 1h, results));
    std::function<bool()> reached_6 = [&] {
        return b.requests == limits::requests_in_flight_per_peer_max && results.size() == 1;
    };
    co_await until(runtime, std::move(reached_6));
    CHECK(results[0] == Errc::peer_busy);
    b.transport->stop();
    std::function<bool()> reached_7 = [&] {
        return results.size() == limits::requests_in_flight_per_peer_max + 1;
    };
    co_await until(runtime, std::move(reached_7));
    CHECK(std::count(results.begin(), results.end(), Errc::peer_unreachable) ==
          limits::requests_in_flight_per_peer_max);
    std::function<bool()> reached_8 = [&] { return a.closed.size() == 1; };
    co_await until(runtime, std::move(reached_8));
    auto again = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt);
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Errc::peer_unreachable);
}

TEST_CASE("a peer that goes fails every pending request, once") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode b(stage.runtime, "127.0.0.1:0");
    stage.run(lose_peer(stage.runtime, a, b));
}

asio::awaitable<void> time_out(EchoNode& a, EchoNode& b) {
    auto peer = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt);
    REQUIRE(peer);
    proto::Message get = proto::GetClosest{};
    auto reply = co_await (*peer)->request(std::move(get), 50ms);
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == Errc::timed_out);
    CHECK((*peer)->open());
}

TEST_CASE("a request fails when the connection is silent for its idle timeout") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode b(stage.runtime, "127.0.0.1:0");
    stage.run(time_out(a, b));
}

asio::awaitable<void> leave_pending(AsioRuntime& runtime, EchoNode& a, EchoNode& b,
                                    std::vector<Errc>& results) {
    auto peer = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt);
    REQUIRE(peer);
    for (int i = 0; i < 5; ++i)
        spawn(runtime, ask_in_vain(*peer, 1h, results));
    std::function<bool()> reached_9 = [&] { return b.requests == 5; };
    co_await until(runtime, std::move(reached_9));
}

TEST_CASE("the runtime may end while requests are pending") {
    std::vector<Errc> results;
    {
        Stage stage;
        EchoNode a(stage.runtime, "127.0.0.1:0");
        EchoNode b(stage.runtime, "127.0.0.1:0");
        stage.run(leave_pending(stage.runtime, a, b, results));
    }
    CHECK(results.empty());
}

asio::awaitable<void> dial_from_source(AsioRuntime& runtime, EchoNode& a, EchoNode& b) {
    auto peer = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt);
    REQUIRE(peer);
    std::function<bool()> reached_10 = [&] { return b.peers.size() == 1; };
    co_await until(runtime, std::move(reached_10));
    CHECK(b.peers[0]->remote().host() == "127.0.0.7");
}

TEST_CASE("a node dials from the address that it listens on") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.7:0", true);
    EchoNode b(stage.runtime, "127.0.0.1:0");
    stage.run(dial_from_source(stage.runtime, a, b));
}

asio::awaitable<void> meet_at_both(EchoNode& a, EchoNode& b) {
    for (int i = 0; i < 3; ++i) {
        auto peer = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt);
        CHECK(peer.has_value());
        peer = co_await b.transport->connect(a.endpoint(), a.id(), std::nullopt);
        CHECK(peer.has_value());
    }
}

TEST_CASE("the same two nodes may be connected several times") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode b(stage.runtime, "127.0.0.1:0");
    stage.run(meet_at_both(a, b));
}

TEST_CASE("a port in use is reported as such, with its number") {
    AsioRuntime runtime;
    const auto identity = core::Identity::generate();
    auto first =
        TlsTransport::create(runtime, *identity, {{*core::Endpoint::parse("127.0.0.1:0")}});
    REQUIRE(first);
    const core::Endpoint taken = (*first)->listening().front();
    CHECK(taken.port != 0);
    auto second = TlsTransport::create(runtime, *identity, {{taken}});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::other);
    CHECK(second.error().context ==
          "port " + std::to_string(taken.port) +
              " is in use at 127.0.0.1; --port names another, 0 any that is free");
    auto nowhere =
        TlsTransport::create(runtime, *identity, {{*core::Endpoint::parse("192.0.2.1:0")}});
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().context == "192.0.2.1 is not an address of this machine");
}

TEST_CASE("several addresses listen on one port that the system picks") {
    AsioRuntime runtime;
    const auto identity = core::Identity::generate();
    auto transport = TlsTransport::create(
        runtime, *identity,
        {{*core::Endpoint::parse("127.0.0.1:0"), *core::Endpoint::parse("127.0.0.2:0"),
          *core::Endpoint::parse("127.0.0.3:0")}});
    REQUIRE(transport);
    const auto& listening = (*transport)->listening();
    REQUIRE(listening.size() == 3);
    CHECK(listening[1].port == listening[0].port);
    CHECK(listening[2].port == listening[0].port);
    CHECK(listening[2].host() == "127.0.0.3");
}

}  // namespace
}  // namespace flow29::net
