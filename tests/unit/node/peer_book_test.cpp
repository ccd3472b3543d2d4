// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/peer_book.hpp"

#include <doctest/doctest.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include "net/sockets.hpp"
#include "real_node.hpp"

using namespace flow29;
using namespace std::chrono_literals;

namespace {

using RealNode = test::RealNode<test::ForwardingStore>;
using Peers = std::vector<net::PeerPtr>;

/// Somebody who takes connections and says nothing.
struct Silent {
    Silent()
        : acceptors(*net::listen_on(io.get_executor(), {*core::Endpoint::parse("127.0.9.1:0")})) {}
    [[nodiscard]] core::Endpoint endpoint() const {
        return net::from_asio(acceptors.front().local_endpoint());
    }
    asio::io_context io;
    std::vector<asio::ip::tcp::acceptor> acceptors;
};

proto::NodeRecord record_of(const RealNode& node, std::vector<core::Endpoint> addresses) {
    proto::NodeRecord record;
    record.addresses = std::move(addresses);
    record.sign(node.identity());
    return record;
}

Peers reach(RealNode& from, const proto::NodeRecord& record) {
    return from.run<Peers>([&record](node::Engine& engine) {
        return engine.neighbourhood().reach_all({node::Named{record}});
    });
}

Peers dial(RealNode& from, core::Endpoint at) {
    return from.run<Peers>([at](node::Engine& engine) {
        return engine.neighbourhood().dial_all({dht::Contact{DhtKey{}, at}});
    });
}

}  // namespace

TEST_CASE("a node is reached though nobody answers at its first address, which is not waited for") {
    const Silent silent;
    RealNode one(1);
    RealNode two(2);
    const auto reached = reach(one, record_of(two, {silent.endpoint(), two.endpoint()}));
    REQUIRE(reached.size() == 1);
    CHECK(reached.front()->id() == two.id());
    // The first attempt has not come to nothing yet.
    const auto doubtful = one.run<bool>([&silent](node::Engine& engine) {
        return [](node::Engine* of, core::Endpoint at) -> asio::awaitable<bool> {
            co_return of->peers().is_doubtful(at, 1h);
        }(&engine, silent.endpoint());
    });
    CHECK_FALSE(doubtful);
}

TEST_CASE("a node is not reached where it has no address, or nobody answers at any") {
    RealNode one(1);
    RealNode two(2);
    auto closed = two.endpoint();
    closed.port = 1;
    CHECK(reach(one, record_of(two, {})).empty());
    CHECK(reach(one, record_of(two, {closed})).empty());
}

TEST_CASE("a node that is dialled at two addresses, not known to be of one, keeps one connection") {
    RealNode one(1);
    RealNode two(2, {}, "127.0.2.2");
    auto other = *core::Endpoint::parse("127.0.2.2:1");
    other.port = two.endpoint().port;
    const auto first = dial(one, two.endpoint());
    const auto second = dial(one, other);
    REQUIRE(first.size() == 1);
    REQUIRE(second.size() == 1);
    CHECK(first.front() == second.front());
}
