// SPDX-License-Identifier: GPL-3.0-or-later
#include <atomic>
#include <thread>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <asio/io_context.hpp>

#include <flow29/limits.hpp>

#include "dht/client_pool.hpp"
#include "swarm.hpp"

using namespace flow29;
using namespace flow29::dht;
using namespace flow29::dht::test;

namespace {

OpenDhtIndex::Options at(const core::Endpoint& bind) {
    OpenDhtIndex::Options options;
    options.bind = {bind};
    return options;
}

/// A port of 127.0.0.99 on which nobody listens.
core::Endpoint dead_end() {
    Peer briefly(at(loopback(99)));
    return briefly.index->local_endpoint();
}

/// Keeps enough descriptors open that the next one is past FD_SETSIZE.
class ManyDescriptors {
  public:
    ManyDescriptors() {
        getrlimit(RLIMIT_NOFILE, &before_);
        rlimit more = before_;
        more.rlim_cur = std::min<rlim_t>(before_.rlim_max, 4096);
        setrlimit(RLIMIT_NOFILE, &more);
        while (open_.empty() || open_.back() < FD_SETSIZE) {
            const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
            if (fd < 0) break;
            open_.push_back(fd);
        }
    }
    ~ManyDescriptors() {
        for (const int fd : open_)
            ::close(fd);
        setrlimit(RLIMIT_NOFILE, &before_);
    }
    [[nodiscard]] bool enough() const { return open_.back() >= FD_SETSIZE; }

  private:
    rlimit before_{};
    std::vector<int> open_;
};

void exchange_records(const core::Endpoint& bind, const core::Endpoint& claimed) {
    Peer one(at(bind));
    Peer two(at(bind));
    auto meeting = one.index->local_endpoint();
    if (meeting.is_unspecified()) meeting.address = loopback(1).address;
    two.index->bootstrap({meeting});
    REQUIRE(eventually([&] { return one.status().connected && two.status().connected; }));
    const DhtKey key = key_of("exchanged");
    auto record = one.record(key);
    record.address = claimed;
    record.sign(one.identity);
    CHECK(one.announce(record));
    CHECK(two.find(key).providers.size() == 1);
    CHECK(two.status().stored_values == 1);
}

}  // namespace

TEST_CASE("a port in use is a clear error at the start") {
    Peer first(at(loopback(1)));
    OpenDhtIndex::Options options = at(first.index->local_endpoint());
    options.identity = &first.identity;
    const auto second = OpenDhtIndex::start(options);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().message().find(options.bind.front().to_string()) != std::string::npos);
}

TEST_CASE("a node restarts from its saved neighbours") {
    Swarm swarm(4);
    const DhtKey key = key_of("before");
    CHECK(swarm[1].announce(swarm[1].record(key)));
    Answer<std::vector<Contact>> answer;
    swarm[3].index->neighbours(answer.callback());
    OpenDhtIndex::Options options = at(loopback(4));
    options.saved = answer.get();
    REQUIRE_FALSE(options.saved.empty());
    swarm[3].index->stop();
    swarm[3].index = swarm[3].start(options);
    const Lookup lookup = swarm[3].find(key);
    CHECK(lookup.connected);
    CHECK(lookup.providers.size() == 1);
}

TEST_CASE("a look-up with nobody to ask ends within seconds and says so") {
    const auto started = std::chrono::steady_clock::now();
    Peer storing(at(loopback(1)));
    auto options = at(loopback(2));
    options.storing = false;
    Peer visiting(options);
    const auto nobody = dead_end();
    storing.index->bootstrap({nobody});
    visiting.index->bootstrap({nobody});
    Answer<Lookup> first;
    Answer<Lookup> second;
    storing.index->find(key_of("x"), first.callback());
    visiting.index->find(key_of("x"), second.callback());
    CHECK_FALSE(first.get().connected);
    CHECK_FALSE(second.get().connected);
    CHECK(std::chrono::steady_clock::now() - started < 6s);
}

TEST_CASE("operations begun before the first connection wait for it") {
    Peer hub(at(loopback(1)));
    Peer early(at(loopback(2)));
    const DhtKey key = key_of("early");
    early.index->bootstrap({dead_end()});
    Answer<bool> announced;
    early.index->announce(early.record(key), announced.callback());
    early.index->bootstrap({hub.index->local_endpoint()});
    CHECK(announced.get());
    CHECK(hub.find(key).providers.size() == 1);
}

TEST_CASE("stop calls back everything that is pending, once") {
    Swarm swarm(4);
    auto unconnected = std::make_unique<Peer>(at(loopback(50)));
    unconnected->index->bootstrap({dead_end()});
    std::atomic<int> called = 0;
    const auto load = [&called](Peer& peer) {
        for (int i = 0; i < 300; ++i) {
            const DhtKey key = key_of(std::to_string(i));
            peer.index->find(key, [&called](const Lookup&) { ++called; });
            peer.index->announce(peer.record(key), [&called](bool) { ++called; });
            peer.index->find_node(peer.identity.id(), [&called](const auto&) { ++called; });
        }
        peer.index->neighbours([&called](const auto&) { ++called; });
        peer.index->status([&called](const auto&) { ++called; });
        peer.index->stop();
    };
    load(swarm[2]);
    CHECK(called == 902);
    load(*unconnected);
    CHECK(called == 2 * 902);

    Answer<Lookup> after;
    swarm[2].index->find(key_of("late"), after.callback());
    CHECK_FALSE(after.get().connected);
    swarm[2].index->stop();
    CHECK(called == 2 * 902);
}

TEST_CASE("puts stay findable while clients are recycled") {
    Swarm swarm(4);
    auto options = at(loopback(20));
    options.client_operations_max = 50;
    Peer busy(options);
    busy.index->bootstrap({swarm[0].index->local_endpoint()});
    std::vector<Answer<bool>> answers(400);
    for (std::size_t i = 0; i < answers.size(); ++i)
        busy.index->announce(busy.record(key_of(std::to_string(i))), answers[i].callback());
    for (auto& answer : answers)
        CHECK(answer.get());
    for (std::size_t i = 0; i < answers.size(); i += 7)
        CHECK(swarm[i % 4].find(key_of(std::to_string(i))).providers.size() == 1);
}

TEST_CASE("a client is replaced when it is used up, and ends when its operations have") {
    asio::io_context io;
    TrafficCounters counters;
    OpenDhtRunner::Options server_options;
    server_options.bind = loopback(1);
    const auto identity = core::Identity::generate().value();
    server_options.identity = &identity;
    server_options.position = core::dht_position(identity.id());
    server_options.network = test_network;
    const auto server =
        std::move(*OpenDhtRunner::start(io, server_options, counters, {.on_status = [] {}}));
    ClientPool pool(
        io,
        {.bind = loopback(1),
         .network = test_network,
         .operations_max = limits::dht_client_operations_max,
         .age_max = limits::dht_client_age_max},
        counters, [&](OpenDhtRunner& client) { client.ping(server->local_endpoint()); }, [] {});
    const auto settle = [&io](auto reached) {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (!reached() && std::chrono::steady_clock::now() < end)
            io.run_one_for(10ms);
        return reached();
    };
    const TimePoint start{};
    REQUIRE(pool.start(start).has_value());
    REQUIRE(settle([&] { return pool.connected(); }));
    const DhtKey first = pool.current().position();

    const std::uint64_t generation = pool.acquire();
    for (unsigned i = 2; i < limits::dht_client_operations_max; ++i)
        pool.release(pool.acquire());
    pool.tick(start + 1s);
    CHECK(pool.current().position() == first);
    pool.release(pool.acquire());
    REQUIRE(settle([&] {
        pool.tick(start + 2s);
        return pool.current().position() != first;
    }));
    CHECK(pool.connected());
    CHECK(pool.is_own(first));
    pool.tick(start + 3s);
    CHECK(pool.is_own(first));
    pool.release(generation);
    pool.tick(start + 4s);
    CHECK_FALSE(pool.is_own(first));

    const DhtKey second = pool.current().position();
    // What is used as it should be is replaced for its age; an idle one is not.
    const TimePoint old = start + 2s + limits::dht_client_age_max;
    pool.tick(old);
    CHECK(pool.current().position() == second);
    pool.release(pool.acquire());
    CHECK(settle([&] {
        pool.tick(old);
        return pool.current().position() != second;
    }));
    pool.stop();
}

TEST_CASE("an index works past 1,024 descriptors") {
    const ManyDescriptors many;
    if (!many.enough()) {
        MESSAGE("skipped: the descriptor limit cannot be raised");
        return;
    }
    exchange_records(loopback(1), loopback(1, 2929));
}

TEST_CASE("nodes on all addresses of one machine meet over loopback") {
    auto any = core::Endpoint::parse("0.0.0.0:1").value();
    any.port = 0;
    exchange_records(any, core::Endpoint::parse("192.0.2.1:2929").value());
}

TEST_CASE("nodes meet over IPv6") {
    auto bind = core::Endpoint::parse("[::1]:1").value();
    bind.port = 0;
    auto options = at(bind);
    const auto identity = core::Identity::generate().value();
    options.identity = &identity;
    if (!OpenDhtIndex::start(options).has_value()) {
        MESSAGE("skipped: no IPv6 here");
        return;
    }
    exchange_records(bind, core::Endpoint::parse("[::1]:2929").value());
}
