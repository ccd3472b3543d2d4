// SPDX-License-Identifier: GPL-3.0-or-later
// Connections of a private swarm, over real TLS: who has its key, and who has not.
#include "net/swarm_gate.hpp"

#include "echo_node.hpp"
#include "net/sockets.hpp"
#include "net/tls_stream.hpp"

#include <doctest/doctest.h>
#include <asio/experimental/as_tuple.hpp>
#include <asio/read.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

#include <array>
#include <optional>

namespace flow29::net {
namespace {

using asio::ip::tcp;

constexpr auto as_tuple = asio::experimental::as_tuple(asio::use_awaitable);
constexpr const char* any_port = "127.0.0.1:0";

/// What a node says to `octets`: everything until it closes.
asio::awaitable<Bytes> heard_from(AsioRuntime& runtime, core::Endpoint node, Bytes octets) {
    tcp::socket socket(runtime.executor());
    const tcp::endpoint target = to_asio(node);
    auto connected = co_await socket.async_connect(target, as_tuple);
    REQUIRE_FALSE(std::get<0>(connected));
    const auto buffer = asio::buffer(octets);
    auto written = co_await asio::async_write(socket, buffer, as_tuple);
    REQUIRE_FALSE(std::get<0>(written));
    Bytes heard;
    std::array<std::uint8_t, 4096> room{};
    for (;;) {
        const auto space = asio::buffer(room);
        auto got = co_await socket.async_read_some(space, as_tuple);
        auto& [ec, size] = got;
        if (ec) co_return heard;
        heard.insert(heard.end(), room.begin(), room.begin() + static_cast<long>(size));
    }
}

/// What a member's TLS client sends to `listener` in its first flight, knock included.
asio::awaitable<Bytes> record_visit(AsioRuntime& runtime, EchoNode& member) {
    const tcp::endpoint any(asio::ip::make_address("127.0.0.1"), 0);
    tcp::acceptor acceptor(runtime.context(), any);
    const core::Endpoint where = from_asio(acceptor.local_endpoint());
    auto dial = [](EchoNode& from, core::Endpoint to) -> asio::awaitable<void> {
        auto peer = co_await from.transport->connect(to, std::nullopt, std::nullopt);
        CHECK_FALSE(peer);
    };
    spawn(runtime, dial(member, where));
    auto accepted = co_await acceptor.async_accept(as_tuple);
    auto& [ec, socket] = accepted;
    REQUIRE_FALSE(ec);
    Bytes octets(4096);
    const auto space = asio::buffer(octets);
    auto got = co_await socket.async_read_some(space, as_tuple);
    octets.resize(std::get<1>(got));
    co_return octets;
}

asio::awaitable<void> meet(AsioRuntime& runtime, core::SwarmKey key) {
    EchoNode a(runtime, any_port, false, key), b(runtime, any_port, false, key);
    auto peer = co_await a.transport->connect(b.endpoint(), b.id(), std::nullopt);
    REQUIRE(peer);
    proto::Message ask = whole_range(1024);
    auto reply = co_await (*peer)->request(std::move(ask), std::chrono::seconds(10));
    REQUIRE(reply);
    CHECK(reply->body.size() == 1024);
    CHECK(b.peers.size() == 1);
}

TEST_CASE("members of a private swarm reach each other") {
    Stage stage;
    stage.run(meet(stage.runtime, core::new_swarm_key()));
}

asio::awaitable<void> be_refused(AsioRuntime& runtime, std::optional<core::SwarmKey> theirs,
                                 std::optional<core::SwarmKey> ours) {
    EchoNode inside(runtime, any_port, false, theirs), outside(runtime, any_port, false, ours);
    auto peer = co_await outside.transport->connect(inside.endpoint(), inside.id(), std::nullopt);
    CHECK_FALSE(peer);
    CHECK(inside.peers.empty());
    CHECK(outside.peers.empty());
}

TEST_CASE("without the key, or with another, there is no connection either way") {
    Stage stage;
    const auto key = core::new_swarm_key();
    SUBCASE("a stranger dials a member") {
        stage.run(be_refused(stage.runtime, key, std::nullopt));
    }
    SUBCASE("a member of another swarm dials a member") {
        stage.run(be_refused(stage.runtime, key, core::new_swarm_key()));
    }
}

asio::awaitable<void> be_silent(AsioRuntime& runtime) {
    const auto key = core::new_swarm_key();
    EchoNode node(runtime, any_port, false, key), member(runtime, any_port, false, key),
        stranger(runtime, any_port), public_node(runtime, any_port);
    const core::Endpoint there = node.endpoint();
    // What a node of the public swarm says, which another such node answers.
    const Bytes hello = co_await record_visit(runtime, stranger);
    REQUIRE(hello.size() > 100);
    const Bytes wrong_key(SwarmGate::knock_bytes + 100, 0x55);
    // What a member said to somebody else.
    const Bytes recorded = co_await record_visit(runtime, member);
    REQUIRE(recorded.size() > SwarmGate::knock_bytes);
    for (const Bytes& octets : {hello, wrong_key, recorded}) {
        const Bytes heard = co_await heard_from(runtime, there, octets);
        CHECK(heard.empty());
    }
    CHECK(node.peers.empty());
    // And it is still there for a member.
    auto peer = co_await member.transport->connect(there, node.id(), std::nullopt);
    CHECK(peer.has_value());
}

TEST_CASE("a stranger hears not one octet, whatever it sends") {
    Stage stage;
    stage.run(be_silent(stage.runtime));
}

/// A connection to the node on which `knock` was sent, and the answer if there is one.
struct Visit {
    tcp::socket socket;
    std::optional<std::array<std::uint8_t, SwarmGate::answer_bytes>> answer{};
};
asio::awaitable<Visit> visit(AsioRuntime& runtime, core::Endpoint node, Bytes knock) {
    Visit made{tcp::socket(runtime.executor())};
    const tcp::endpoint target = to_asio(node);
    auto connected = co_await made.socket.async_connect(target, as_tuple);
    REQUIRE_FALSE(std::get<0>(connected));
    REQUIRE(prepare_connected(made.socket));
    const auto knocking = asio::buffer(knock);
    auto written = co_await asio::async_write(made.socket, knocking, as_tuple);
    REQUIRE_FALSE(std::get<0>(written));
    std::array<std::uint8_t, SwarmGate::answer_bytes> octets{};
    const auto space = asio::buffer(octets);
    auto answered = co_await asio::async_read(made.socket, space, as_tuple);
    if (!std::get<0>(answered)) made.answer = octets;
    co_return std::move(made);
}

asio::awaitable<void> knock_twice(AsioRuntime& runtime) {
    const auto key = core::new_swarm_key();
    EchoNode node(runtime, any_port, false, key);
    SwarmGate gate(key, runtime);
    const Bytes knock = gate.knock(node.endpoint());
    const auto first = co_await visit(runtime, node.endpoint(), knock);
    REQUIRE(first.answer);
    CHECK(core::equal_secrets(*first.answer, gate.answer_to(knock)));
    const auto second = co_await visit(runtime, node.endpoint(), knock);
    CHECK_FALSE(second.answer);
}

TEST_CASE("a knock is answered once") {
    Stage stage;
    stage.run(knock_twice(stage.runtime));
}

/// Passes a member's knock on to another member, and speaks TLS itself.
asio::awaitable<void> be_between(AsioRuntime& runtime) {
    const auto key = core::new_swarm_key();
    SwarmGate ends(key, runtime);
    const Bytes exported(32, 1), other(32, 2);
    const auto of_client = ends.proof(SwarmGate::Role::client, exported);
    CHECK(of_client == SwarmGate(key, runtime).proof(SwarmGate::Role::client, exported));
    CHECK(of_client != ends.proof(SwarmGate::Role::server, exported));
    CHECK(of_client != ends.proof(SwarmGate::Role::client, other));
    CHECK(of_client !=
          SwarmGate(core::new_swarm_key(), runtime).proof(SwarmGate::Role::client, exported));

    EchoNode node(runtime, any_port, false, key);
    const auto identity = core::Identity::generate();
    auto credentials = TlsCredentials::create(*identity);
    const Bytes knock = ends.knock(node.endpoint());
    auto knocked = co_await visit(runtime, node.endpoint(), knock);
    REQUIRE(knocked.answer);
    // From here on as in the public swarm: TLS without a proof.
    auto stream = std::make_shared<TlsStream>(std::move(knocked.socket), *credentials, TlsTerms{});
    auto shaken = co_await stream->handshake();
    REQUIRE(shaken);
    Bytes zeroes(SwarmGate::proof_bytes, 0);
    CHECK(stream->try_write(zeroes, false).status == TlsStream::Status::moved);
    Bytes room(1024);
    TlsStream::Progress progress = stream->try_read(room);
    while (progress.status == TlsStream::Status::wants_read) {
        const bool ready = co_await stream->wait(progress.status);
        REQUIRE(ready);
        progress = stream->try_read(room);
    }
    // Closed, without an octet of the node's own.
    CHECK(progress.status == TlsStream::Status::ended);
    CHECK(node.peers.empty());
}

TEST_CASE("who got past the knock and does not prove the key on the channel hears nothing") {
    Stage stage;
    stage.run(be_between(stage.runtime));
}

}  // namespace
}  // namespace flow29::net
