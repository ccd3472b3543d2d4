// SPDX-License-Identifier: GPL-3.0-or-later
// What a connection may cost: how many there are, how much waits to be sent, how long is waited.
#include <flow29/limits.hpp>

#include "echo_node.hpp"
#include "net/sockets.hpp"
#include "proto/message.hpp"

#include <doctest/doctest.h>

#include <asio/experimental/as_tuple.hpp>
#include <asio/write.hpp>

#include <netinet/tcp.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <map>

namespace flow29::net {
namespace {

using asio::ip::tcp;

/// The real runtime in a hurry: what takes ten seconds there is over in a fifth of one. On a busy
/// machine it is less of a hurry: the clock waits for timers, so that none is late by it.
class HurriedRuntime final : public Runtime {
  public:
    /// `real` may be made later than this, so that its end, which cancels timers here, comes first.
    explicit HurriedRuntime(AsioRuntime& real) : real_(real) {}

    asio::any_io_executor executor() override { return real_.executor(); }
    [[nodiscard]] TimePoint now() const override {
        TimePoint result = clock();
        for (const auto& [id, timer] : timers_)
            result = std::min(result, timer.when);
        return result;
    }
    [[nodiscard]] WallTime wall_now() const override { return real_.wall_now(); }
    std::mt19937_64& random() override { return real_.random(); }
    TimerId add_timer(TimePoint when, std::function<void()> fire) override {
        const TimerId id = ++last_timer_;
        when = std::max(when, now());
        timers_.emplace(id, Timer{when, std::move(fire), {}});
        arm(id);
        return id;
    }
    void cancel_timer(TimerId id) override {
        const auto found = timers_.find(id);
        if (found == timers_.end()) return;
        real_.cancel_timer(found->second.real);
        timers_.erase(found);
    }
    void run_on_worker(std::function<void()> job, std::function<void()> done) override {
        real_.run_on_worker(std::move(job), std::move(done));
    }

  private:
    static constexpr int pace = 50;
    struct Timer {
        TimePoint when;
        std::function<void()> fire;
        TimerId real;
    };

    [[nodiscard]] TimePoint clock() const {
        return TimePoint(real_.now().time_since_epoch() * pace - waited_);
    }
    void arm(TimerId id) {
        Timer& timer = timers_.at(id);
        const bool is_never = timer.when == TimePoint::max();
        // Rounded up: at `when` it is not too early by this clock.
        const auto due =
            is_never ? timer.when
                     : TimePoint((timer.when.time_since_epoch() + waited_) / pace + Duration(1));
        timer.real = real_.add_timer(due, [this, id] { on_due(id); });
    }
    void on_due(TimerId id) {
        const auto when = [](const auto& entry) { return entry.second.when; };
        const auto first = std::ranges::min_element(timers_, {}, when);
        const auto late = clock() - first->second.when;
        if (first->first != id || late < Duration(0)) arm(id);
        if (late < Duration(0)) return;
        waited_ += late;
        if (first->first != id) real_.cancel_timer(first->second.real);
        const auto fire = std::move(first->second.fire);
        timers_.erase(first);
        fire();
    }

    AsioRuntime& real_;
    std::map<TimerId, Timer> timers_;
    TimerId last_timer_ = 0;
    Duration waited_{};
};

/// The real runtime at one moment, however long that takes.
class StandingRuntime final : public Runtime {
  public:
    explicit StandingRuntime(AsioRuntime& real) : real_(real) {}

    asio::any_io_executor executor() override { return real_.executor(); }
    [[nodiscard]] TimePoint now() const override { return moment_; }
    [[nodiscard]] WallTime wall_now() const override { return real_.wall_now(); }
    std::mt19937_64& random() override { return real_.random(); }
    TimerId add_timer(TimePoint when, std::function<void()> fire) override {
        const bool is_never = when == TimePoint::max();
        return real_.add_timer(is_never ? when : real_.now() + (when - moment_), std::move(fire));
    }
    void cancel_timer(TimerId id) override { real_.cancel_timer(id); }
    void run_on_worker(std::function<void()> job, std::function<void()> done) override {
        real_.run_on_worker(std::move(job), std::move(done));
    }

  private:
    AsioRuntime& real_;
    const TimePoint moment_ = real_.now();
};

struct HurriedStage {
    HurriedRuntime runtime{stage.runtime};
    Stage stage;
};

/// A socket on which the system takes as many connections as are given, and nobody answers.
struct Deaf {
    asio::io_context io;
    tcp::acceptor acceptor{io};

    explicit Deaf(int backlog) {
        acceptor.open(tcp::v4());
        acceptor.bind({asio::ip::make_address("127.0.0.1"), 0});
        acceptor.listen(backlog);
    }
    [[nodiscard]] core::Endpoint endpoint() const { return from_asio(acceptor.local_endpoint()); }
};

asio::awaitable<void> dial_deaf(EchoNode& node, const Deaf& deaf, std::string expected) {
    const core::Endpoint there = deaf.endpoint();
    auto peer = co_await node.transport->connect(there, std::nullopt, std::nullopt);
    REQUIRE_FALSE(peer);
    CHECK(peer.error().code == Errc::timed_out);
    CHECK(peer.error().context.find(expected) != std::string::npos);
}

TEST_CASE("a handshake has limits::handshake_timeout") {
    const Deaf deaf(8);
    HurriedStage hurried;
    EchoNode node(hurried.runtime, "127.0.0.1:0");
    hurried.stage.run(dial_deaf(node, deaf, "the handshake took too long"));
}

TEST_CASE("an address has limits::connect_timeout to answer") {
    const Deaf deaf(0);
    // Those the system takes although nobody accepts them; then it says nothing any more.
    asio::io_context io;
    const tcp::endpoint there = to_asio(deaf.endpoint());
    std::vector<tcp::socket> taken;
    for (int i = 0; i < 4; ++i) {
        taken.emplace_back(io).open(tcp::v4());
        taken.back().native_non_blocking(true);
        static_cast<void>(::connect(taken.back().native_handle(), there.data(),
                                    static_cast<socklen_t>(there.size())));  // under way
    }
    HurriedStage hurried;
    EchoNode node(hurried.runtime, "127.0.0.1:0");
    hurried.stage.run(dial_deaf(node, deaf, "no answer from"));
}

TEST_CASE("the system gives a path up that is dead") {
    const Deaf deaf(8);
    asio::io_context io;
    tcp::socket socket(io);
    socket.connect(to_asio(deaf.endpoint()));
    REQUIRE(prepare_connected(socket));
    int milliseconds = 0;
    socklen_t size = sizeof milliseconds;
    REQUIRE(::getsockopt(socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds,
                         &size) == 0);
    CHECK(std::chrono::milliseconds(milliseconds) == limits::tcp_user_timeout);
}

/// Between two nodes; from some moment on it takes nothing more from the one that dialled.
struct Relay {
    tcp::acceptor acceptor;
    tcp::socket near, far;
    core::Endpoint target;
    bool takes = true;

    Relay(AsioRuntime& runtime, core::Endpoint to)
        : acceptor(runtime.context()), near(runtime.context()), far(runtime.context()), target(to) {
        acceptor.open(tcp::v4());
        acceptor.set_option(tcp::socket::receive_buffer_size(64 * 1024));
        acceptor.bind({asio::ip::make_address("127.0.0.1"), 0});
        acceptor.listen();
    }
    [[nodiscard]] core::Endpoint endpoint() const { return from_asio(acceptor.local_endpoint()); }
};

asio::awaitable<void> pass(std::shared_ptr<Relay> relay, bool forth) {
    constexpr auto as_tuple = asio::experimental::as_tuple(asio::use_awaitable);
    tcp::socket& from = forth ? relay->near : relay->far;
    tcp::socket& to = forth ? relay->far : relay->near;
    std::array<char, 16 * 1024> octets;
    for (;;) {
        const auto room = asio::buffer(octets);
        auto read = co_await from.async_read_some(room, as_tuple);
        auto& [failed, got] = read;
        if (failed || (forth && !relay->takes)) co_return;
        const auto taken = asio::buffer(octets.data(), got);
        auto written = co_await asio::async_write(to, taken, as_tuple);
        if (std::get<0>(written)) co_return;
    }
}

asio::awaitable<void> relay_one(AsioRuntime& runtime, std::shared_ptr<Relay> relay) {
    constexpr auto as_tuple = asio::experimental::as_tuple(asio::use_awaitable);
    auto accepted = co_await relay->acceptor.async_accept(relay->near, as_tuple);
    REQUIRE_FALSE(std::get<0>(accepted));
    relay->far.connect(to_asio(relay->target));
    spawn(runtime, pass(relay, true));
    spawn(runtime, pass(relay, false));
}

/// As many octets as may wait for one peer.
void fill(Peer& peer) {
    const proto::Hint hint{std::vector<proto::ItemId>(limits::items_per_message_max)};
    const auto octets = proto::encode_head(0, hint).size() + 2 * proto::FrameLengths::size;
    for (std::uint64_t i = 0; i < limits::output_bytes_max / octets; ++i)
        peer.notify(hint);
}

asio::awaitable<void> stop_taking(AsioRuntime& runtime, EchoNode& a, EchoNode& b) {
    const auto relay = std::make_shared<Relay>(runtime, b.endpoint());
    spawn(runtime, relay_one(runtime, relay));
    const core::Endpoint there = relay->endpoint();
    auto peer = co_await a.transport->connect(there, b.id(), std::nullopt);
    REQUIRE(peer);
    std::function<bool()> met = [&b] { return b.peers.size() == 1; };
    co_await until(runtime, std::move(met));
    relay->takes = false;
    fill(**peer);
    REQUIRE((*peer)->open());
    // It goes on talking: it is not for its silence that it is left.
    while (a.closed.empty()) {
        b.peers.front()->notify(proto::Room{});
        co_await sleep_for(runtime, std::chrono::milliseconds(1));
    }
    CHECK(a.closed.front().code == Errc::timed_out);
    CHECK(a.closed.front().context == "the peer takes nothing");
}

TEST_CASE("a peer has limits::request_idle_timeout to take anything of what it is sent") {
    HurriedStage hurried;
    EchoNode a(hurried.runtime, "127.0.0.1:0");
    EchoNode b(hurried.stage.runtime, "127.0.0.1:0");
    hurried.stage.run(stop_taking(hurried.stage.runtime, a, b));
}

asio::awaitable<void> be_met_by_too_many(AsioRuntime& runtime, EchoNode& full, EchoNode& many,
                                         EchoNode& late) {
    const core::Endpoint there = full.endpoint();
    for (unsigned i = 0; i < limits::peers_max; ++i) {
        auto peer = co_await many.transport->connect(there, full.id(), std::nullopt);
        REQUIRE(peer);
    }
    std::function<bool()> all_met = [&full] { return full.peers.size() == limits::peers_max; };
    co_await until(runtime, std::move(all_met));
    auto refused = co_await late.transport->connect(there, full.id(), std::nullopt);
    CHECK_FALSE(refused);
    CHECK(full.peers.size() == limits::peers_max);
    // Nor does it dial, and who dialled too often itself does not either.
    const core::Endpoint elsewhere = late.endpoint();
    for (EchoNode* const node : {&full, &many}) {
        refused = co_await node->transport->connect(elsewhere, late.id(), std::nullopt);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Errc::peer_busy);
    }
    full.peers.front()->close({Errc::interrupted, "enough"});
    std::function<bool()> one_left = [&] { return full.closed.size() == 1; };
    co_await until(runtime, std::move(one_left));
    auto taken = co_await late.transport->connect(there, full.id(), std::nullopt);
    CHECK(taken.has_value());
}

TEST_CASE("a node has limits::peers_max connections, then no more are taken or made") {
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit more = before;
    more.rlim_cur = std::min<rlim_t>(before.rlim_max, 4 * limits::peers_max);
    if (more.rlim_cur < 3 * limits::peers_max) {
        MESSAGE("skipped: the descriptor limit cannot be raised");
        return;
    }
    if (before.rlim_cur < more.rlim_cur) ::setrlimit(RLIMIT_NOFILE, &more);
    {
        Stage stage;
        EchoNode full(stage.runtime, "127.0.0.1:0");
        EchoNode many(stage.runtime, "127.0.0.1:0");
        EchoNode late(stage.runtime, "127.0.0.1:0");
        stage.run(be_met_by_too_many(stage.runtime, full, many, late));
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
}

asio::awaitable<void> come_too_often(EchoNode& node, EchoNode& neighbour, EchoNode& other) {
    const core::Endpoint there = node.endpoint();
    const tcp::endpoint address = to_asio(there);
    for (unsigned i = 0; i < limits::arrivals_at_once_max; ++i) {
        tcp::socket socket(co_await asio::this_coro::executor);
        co_await socket.async_connect(address, asio::use_awaitable);
    }
    auto refused = co_await neighbour.transport->connect(there, node.id(), std::nullopt);
    CHECK_FALSE(refused);
    auto taken = co_await other.transport->connect(there, node.id(), std::nullopt);
    CHECK(taken.has_value());
}

TEST_CASE("who comes too often from one network is not taken up any more, and others are") {
    Stage stage;
    StandingRuntime standing(stage.runtime);
    EchoNode node(standing, "127.0.0.1:0");
    EchoNode neighbour(stage.runtime, "127.0.0.9:0", true);
    EchoNode other(stage.runtime, "127.0.9.1:0", true);
    stage.run(come_too_often(node, neighbour, other));
}

asio::awaitable<void> send_too_much(AsioRuntime& runtime, EchoNode& a, EchoNode& b) {
    const core::Endpoint there = b.endpoint();
    auto peer = co_await a.transport->connect(there, b.id(), std::nullopt);
    REQUIRE(peer);
    // Nothing goes out before this coroutine waits.
    fill(**peer);
    CHECK((*peer)->open());
    fill(**peer);
    CHECK_FALSE((*peer)->open());
    std::function<bool()> told = [&a] { return a.closed.size() == 1; };
    co_await until(runtime, std::move(told));
    CHECK(a.closed.front().context == "the peer does not read what it is sent");
}

TEST_CASE("a peer that does not read what it is sent is left") {
    Stage stage;
    EchoNode a(stage.runtime, "127.0.0.1:0");
    EchoNode b(stage.runtime, "127.0.0.1:0");
    stage.run(send_too_much(stage.runtime, a, b));
}

}  // namespace
}  // namespace flow29::net
