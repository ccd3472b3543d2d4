// SPDX-License-Identifier: GPL-3.0-or-later
// A DownloadPlanner against a swarm of fake peers with rates, stalls and lies, in virtual time.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "fake_nodes.hpp"
#include "proto/download_planner.hpp"

namespace flow29::proto {
namespace {

using namespace std::chrono_literals;
using Blame = DownloadPlanner::Blame;
using Request = DownloadPlanner::Request;

constexpr std::uint64_t mib = 1024 * 1024;
constexpr Duration request_timeout = 20s;

/// Answers requests one after the other at its rate.
struct Peer {
    NodeId id;
    double bytes_per_second = 1e6;
    Duration latency = 10ms;
    std::set<std::uint64_t> holds;
    std::set<std::uint64_t> claims;
    bool lies = false;
    double busy_chance = 0;
    TimePoint freezes_at = TimePoint::max();
    TimePoint busy_from = TimePoint::max();  // then others leave a tenth of its rate
    bool connected = true;
    unsigned connection = 0;  // answers of an earlier one are lost
    TimePoint free_at = TimePoint::min();
    TimePoint lied_at = TimePoint::max();
    unsigned asked_in_parallel = 0;
};

class Swarm {
  public:
    Swarm(unsigned seed, std::uint64_t bytes, unsigned level, DownloadPlanner::Options options,
          core::RangeSet have = {})
        : random_(seed),
          layout_(ByteCount(bytes), level),
          planner_(layout_, {ByteCount(0), ByteCount(bytes)}, have, options),
          in_order_(options.in_order) {}

    std::mt19937_64& random() { return random_; }
    std::uint64_t extents() const { return layout_.extents(); }
    Peer& peer(const NodeId& id) { return peers_.at(id); }
    DownloadPlanner& planner() { return planner_; }
    TimePoint now() const { return now_; }

    Peer& add(double bytes_per_second, Duration latency) {
        Peer peer;
        peer.id = fake_node(static_cast<std::uint32_t>(peers_.size()));
        peer.bytes_per_second = bytes_per_second;
        peer.latency = latency;
        planner_.add_peer(peer.id, now_);
        return peers_.emplace(peer.id, peer).first->second;
    }
    void hold(Peer& peer, std::uint64_t extent, bool really = true) {
        if (really) peer.holds.insert(extent);
        peer.claims.insert(extent);
        planner_.set_holds(peer.id, ExtentIndex(extent));
    }
    void hold_all(Peer& peer) {
        for (std::uint64_t e = 0; e < layout_.extents(); ++e)
            hold(peer, e);
    }
    void churn(double disconnect_chance) { disconnect_chance_ = disconnect_chance; }

    /// Until done, or until `time_max` has passed.
    void run(Duration time_max) {
        const TimePoint end = now_ + time_max;
        poll();
        while (!planner_.done() && now_ < end) {
            auto next = planner_.next_deadline(now_);
            if (next) REQUIRE(*next > now_);
            if (!events_.empty()) next = std::min(next.value_or(end), events_.begin()->at);
            if (!next) break;
            now_ = std::max(now_, *next);
            while (!events_.empty() && events_.begin()->at <= now_) {
                const Event event = *events_.begin();
                events_.erase(events_.begin());
                handle(event);
            }
            poll();
        }
    }

    std::uint64_t accepted() const { return accepted_; }
    double duplicates() const {
        return static_cast<double>(planner_.duplicated().value) /
               static_cast<double>(planner_.wanted().value);
    }

  private:
    enum class Kind { answer, lie, lacks, busy, timeout, reconnect };
    struct Event {
        TimePoint at;
        std::uint64_t order;
        Kind kind;
        NodeId peer;
        unsigned connection;
        Request request;
        bool operator<(const Event& o) const {
            return std::tie(at, order) < std::tie(o.at, o.order);
        }
    };

    double chance() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

    void poll() {
        while (const auto request = planner_.poll_request(now_)) {
            Peer& peer = peers_.at(request->peer);
            REQUIRE(peer.connected);
            REQUIRE(now_ <= peer.lied_at);
            REQUIRE(peer.claims.contains(request->extent.value));
            REQUIRE_FALSE(lacking_.contains({peer.id, request->extent.value}));
            REQUIRE_FALSE(verified_.contains(request->piece));
            REQUIRE(++askings_[request->piece] <= DownloadPlanner::askings_max);
            if (in_order_) REQUIRE(request->bytes.last.value <= consumed_ + 16 * mib);
            serve(peer, *request);
        }
        if (steps_++ % 64 == 0) planner_.check_invariants();
    }

    void serve(Peer& peer, const Request& request) {
        Event event{.at = now_ + 2 * peer.latency,
                    .order = order_++,
                    .kind = Kind::answer,
                    .peer = peer.id,
                    .connection = peer.connection,
                    .request = request};
        if (!peer.holds.contains(request.extent.value)) {
            event.kind = Kind::lacks;
        } else if (chance() < peer.busy_chance) {
            event.kind = Kind::busy;
        } else {
            const auto bytes = static_cast<double>(request.bytes.count().value);
            const double left = now_ < peer.busy_from ? 1 : 0.1;
            const auto takes =
                std::chrono::duration<double>(bytes / (peer.bytes_per_second * left));
            peer.free_at = std::max(peer.free_at, now_ + peer.latency) +
                           std::chrono::duration_cast<Duration>(takes);
            event.at = peer.free_at + peer.latency;
            if (peer.lies) event.kind = Kind::lie;
            if (event.at >= peer.freezes_at) {
                event.kind = Kind::timeout;
                event.at = now_ + request_timeout;
            }
        }
        events_.insert(event);
    }

    void handle(const Event& event) {
        Peer& peer = peers_.at(event.peer);
        if (event.kind == Kind::reconnect) {
            peer.connected = true;
            planner_.add_peer(peer.id, now_);
            return;
        }
        if (event.connection != peer.connection) return;
        --askings_[event.request.piece];
        if (chance() < disconnect_chance_) {
            disconnect(peer);
            return;
        }
        switch (event.kind) {
            case Kind::answer:
                deliver(event.request);
                break;
            case Kind::lie:
                planner_.on_failure(event.request.piece, peer.id, Blame::lied, now_);
                peer.lied_at = now_ - 1ns;
                forget_askings(peer);
                break;
            case Kind::lacks:
                planner_.on_failure(event.request.piece, peer.id, Blame::lacks, now_);
                lacking_.insert({peer.id, event.request.extent.value});
                break;
            case Kind::busy:
                planner_.on_failure(event.request.piece, peer.id, Blame::busy, now_);
                forget_askings(peer);
                break;
            case Kind::timeout:
                planner_.on_failure(event.request.piece, peer.id, Blame::unreachable, now_);
                forget_askings(peer);
                break;
            case Kind::reconnect:
                break;
        }
    }

    void deliver(const Request& request) {
        const bool is_new = planner_.on_piece(request.piece, request.peer, now_);
        REQUIRE(is_new == verified_.insert(request.piece).second);
        if (!is_new) return;
        accepted_ += request.bytes.count().value;
        REQUIRE(coverage_.first_gap(request.bytes.first.value, request.bytes.last.value) ==
                core::RangeSet::Interval{request.bytes.first.value, request.bytes.last.value});
        coverage_.insert(request.bytes.first.value, request.bytes.last.value);
        if (!in_order_) return;
        const auto gap = coverage_.first_gap(0, layout_.length().value);
        consumed_ = gap ? gap->first : layout_.length().value;
        planner_.on_consumed(ByteCount(consumed_));
    }

    void disconnect(Peer& peer) {
        planner_.remove_peer(peer.id, now_);
        forget_askings(peer);
        peer.connected = false;
        events_.insert({.at = now_ + 1s,
                        .order = order_++,
                        .kind = Kind::reconnect,
                        .peer = peer.id,
                        .connection = 0,
                        .request = {}});
    }

    /// What was given back; the peer answers none of it any more.
    void forget_askings(Peer& peer) {
        for (const Event& event : events_)
            if (event.kind != Kind::reconnect && event.peer == peer.id &&
                event.connection == peer.connection)
                --askings_[event.request.piece];
        ++peer.connection;
        peer.free_at = TimePoint::min();
    }

    std::mt19937_64 random_;
    core::Layout layout_;
    DownloadPlanner planner_;
    bool in_order_;
    std::map<NodeId, Peer> peers_;
    std::set<Event> events_;
    std::uint64_t order_ = 0;
    std::uint64_t steps_ = 0;
    TimePoint now_ = at(0s);
    double disconnect_chance_ = 0;
    std::set<std::pair<NodeId, std::uint64_t>> lacking_;
    std::set<DownloadPlanner::PieceId> verified_;
    std::map<DownloadPlanner::PieceId, int> askings_;
    core::RangeSet coverage_;
    std::uint64_t accepted_ = 0;
    std::uint64_t consumed_ = 0;
};

TEST_CASE("a download from healthy peers of different speed wastes little and uses them all") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        for (const bool in_order : {false, true}) {
            CAPTURE(seed);
            CAPTURE(in_order);
            Swarm swarm(seed, 512 * mib, 12, {.in_order = in_order, .start_at = seed * 37 * mib});
            const auto peers = 1 + seed % 8;
            double total = 0;
            for (unsigned i = 0; i < peers; ++i) {
                const double rate = 1e6 * static_cast<double>(1 + swarm.random()() % 20);
                total += rate;
                swarm.hold_all(swarm.add(rate, 1ms * (1 + swarm.random()() % 60)));
            }
            swarm.run(24h);
            REQUIRE(swarm.planner().done());
            CHECK(swarm.accepted() == 512 * mib);
            CHECK(swarm.duplicates() < 0.02);
            const double ideal_s = 512.0 * mib / total;
            const double took_s = std::chrono::duration<double>(swarm.now() - at(0s)).count();
            CAPTURE(ideal_s);
            CHECK(took_s < ideal_s * 1.25 + 1);
        }
    }
}

TEST_CASE("a slow or busy holder serves less, as measured") {
    constexpr std::uint64_t bytes = 1024 * mib;
    constexpr double fast = 40e6, slow = 10e6, busy_after_s = 3;
    const auto took = [&](const std::string& what, DownloadPlanner::Options options) {
        Swarm swarm(1, bytes, 12, options);
        for (const double rate : {fast, fast, slow, fast})
            swarm.hold_all(swarm.add(rate, 10ms));
        const auto busy = fake_node(3);
        swarm.peer(busy).busy_from = at(3s);
        swarm.run(24h);
        REQUIRE(swarm.planner().done());
        const double seconds = std::chrono::duration<double>(swarm.now() - at(0s)).count();
        std::map<NodeId, double> share;
        for (const auto& peer : swarm.planner().peers())
            share[peer.peer] = static_cast<double>(peer.bytes) / static_cast<double>(bytes);
        MESSAGE(what << ": " << seconds << " s; of the bytes the two fast ones serve "
                     << share[fake_node(0)] << " and " << share[fake_node(1)] << ", the slow one "
                     << share[fake_node(2)] << ", the one that is busy after 3 s " << share[busy]);
        return std::pair(seconds, share);
    };
    const double before_s = (2 * fast + slow + fast) * busy_after_s;
    const double ideal_s = busy_after_s + (bytes - before_s) / (2 * fast + slow + fast / 10);
    MESSAGE("what all four can deliver: " << ideal_s << " s; a quarter of each, the slow one last: "
                                          << bytes / 4 / slow << " s");
    // A queue of eight for everybody, whatever it delivers.
    const auto [fixed_s, fixed] =
        took("fixed queues", {.pieces_min = 8, .pieces_max = 8, .takeover_saves_min = 24h});
    const auto [measured_s, measured] = took("measured", {});
    CHECK(measured_s < 1.1 * ideal_s);
    CHECK(measured_s < fixed_s);
    CHECK(measured.at(fake_node(2)) < 0.3 * measured.at(fake_node(0)));
    CHECK(measured.at(fake_node(3)) < 0.5 * measured.at(fake_node(0)));
}

TEST_CASE("a download finishes from a hostile swarm if each extent has one honest holder") {
    for (unsigned seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        const bool in_order = seed % 3 == 0;
        const unsigned level = seed % 5 == 0 ? 0 : seed % 5 == 1 ? 6 : 10;
        const std::uint64_t bytes = level == 0 ? mib / 4 + 100 : 30 * mib + 12'345;
        Swarm swarm(seed, bytes, level, {.in_order = in_order, .start_at = seed * mib});
        auto& random = swarm.random();
        swarm.churn(seed % 2 == 0 ? 0.02 : 0);

        std::vector<Peer*> honest;
        for (unsigned i = 0; i < 3; ++i) {
            honest.push_back(&swarm.add(1e5 * static_cast<double>(1 + random() % 50),
                                        1ms * (1 + random() % 100)));
            honest.back()->busy_chance = 0.02;
        }
        for (std::uint64_t e = 0; e < swarm.extents(); ++e)
            swarm.hold(*honest[random() % honest.size()], e);
        for (unsigned i = 0; i < 6; ++i) {
            Peer& peer = swarm.add(1e5 * static_cast<double>(1 + random() % 100),
                                   1ms * (1 + random() % 100));
            const auto kind = random() % 4;
            peer.lies = kind == 0;
            peer.busy_chance = kind == 1 ? 0.3 : 0;
            if (kind == 2) peer.freezes_at = at(std::chrono::milliseconds(random() % 5000));
            for (std::uint64_t e = 0; e < swarm.extents(); ++e)
                if (random() % 2 == 0) swarm.hold(peer, e, kind != 3 || random() % 2 == 0);
        }
        swarm.run(24h);
        swarm.planner().check_invariants();
        REQUIRE(swarm.planner().done());
        REQUIRE(swarm.accepted() == swarm.planner().wanted().value);
        REQUIRE(swarm.planner().verified() == swarm.planner().wanted());
        CHECK(swarm.planner().starved(100, swarm.now()).empty());
    }
}

TEST_CASE("one holder that freezes costs a download seconds, not its timeout") {
    for (const bool in_order : {false, true}) {
        CAPTURE(in_order);
        Swarm swarm(1, 64 * mib, 11, {.in_order = in_order});
        for (unsigned i = 0; i < 3; ++i)
            swarm.hold_all(swarm.add(20e6, 10ms));
        Peer& frozen = swarm.add(20e6, 10ms);
        frozen.freezes_at = at(500ms);
        swarm.hold_all(frozen);
        swarm.run(1h);
        REQUIRE(swarm.planner().done());
        CHECK(swarm.now() < at(4s));
    }
}

TEST_CASE("a swarm of a thousand peers is served without a hitch") {
    Swarm swarm(1, 10'000 * 32 * 512, 5, {});
    for (unsigned i = 0; i < 1000; ++i) {
        Peer& peer = swarm.add(1e6, 20ms);
        for (unsigned k = 0; k < 100; ++k)
            swarm.hold(peer, (i * 10 + k * 97) % swarm.extents());
    }
    REQUIRE(swarm.planner().starved(1, swarm.now()).empty());
    swarm.run(1h);
    CHECK(swarm.planner().done());
    CHECK(swarm.duplicates() < 0.02);
}

}  // namespace
}  // namespace flow29::proto
