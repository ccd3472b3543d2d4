// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/node_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include <flow29/limits.hpp>
#include "fake_nodes.hpp"

namespace flow29::proto {
namespace {

using namespace std::chrono_literals;
using State = NodeTable::State;

NodeTable::Options options() {
    return {.self = fake_node(0)};
}

DhtKey distance(const DhtKey& key, const NodeId& node) {
    DhtKey result;
    for (std::size_t i = 0; i < DhtKey::size; ++i)
        result.bytes[i] = key.bytes[i] ^ node.bytes[i];
    return result;
}

TEST_CASE("node table ignores its own record") {
    NodeTable table(options());
    table.on_alive(fake_record(0), at(0s));
    CHECK(table.find(fake_node(0)) == nullptr);
    CHECK(table.alive() == 0);
    CHECK(table.cut_off());
}

TEST_CASE("node table leads a node from unknown to alive, missing, gone and back") {
    NodeTable table(options());
    const NodeId node = fake_node(1);
    CHECK_FALSE(table.counts(node));
    table.on_alive(fake_record(2), at(0s));  // so that we are never cut off
    table.on_alive(fake_record(1), at(1s));
    CHECK(table.is_alive(node));
    CHECK(table.counts(node));

    table.on_missing(node, at(2s));
    CHECK_FALSE(table.is_alive(node));
    CHECK(table.counts(node));
    CHECK(table.find(node)->state == State::missing);
    REQUIRE(table.missing_records().size() == 1);
    CHECK(table.next_deadline() == at(2s + 5min));
    CHECK(table.expire(at(2s + 5min - 1ns)).empty());
    CHECK(table.counts(node));

    CHECK(table.expire(at(2s + 5min)) == std::vector{node});
    CHECK_FALSE(table.counts(node));
    CHECK(table.find(node)->state == State::gone);
    CHECK(table.expire(at(1h)).empty());
    CHECK_FALSE(table.next_deadline());

    table.on_alive(fake_record(1), at(2h));
    CHECK(table.is_alive(node));
    CHECK(table.find(node)->since == at(2h));
    table.check_invariants();
}

TEST_CASE("node table does not report a node that came back within the grace period") {
    NodeTable table(options());
    table.on_alive(fake_record(1), at(0s));
    table.on_alive(fake_record(2), at(0s));
    table.on_missing(fake_node(1), at(1s));
    table.on_alive(fake_record(1), at(4min));
    CHECK(table.expire(at(1h)).empty());
    CHECK_FALSE(table.next_deadline());
}

TEST_CASE("node table counts the grace period from the first sign of absence") {
    NodeTable table(options());
    table.on_alive(fake_record(1), at(0s));
    table.on_alive(fake_record(2), at(0s));
    table.on_missing(fake_node(1), at(1s));
    table.on_missing(fake_node(1), at(4min));
    CHECK(table.next_deadline() == at(1s + 5min));
}

TEST_CASE("node table lets a node that said goodbye go without grace") {
    NodeTable table(options());
    table.on_alive(fake_record(1), at(0s));
    table.on_alive(fake_record(2), at(0s));
    table.on_goodbye(fake_node(1), at(1s));
    CHECK_FALSE(table.counts(fake_node(1)));
    CHECK(table.next_deadline() == at(1s));
    CHECK(table.expire(at(1s)) == std::vector{fake_node(1)});
    table.on_goodbye(fake_node(1), at(2s));
    CHECK(table.expire(at(2s)).empty());
    table.on_goodbye(fake_node(9), at(2s));  // never met
    table.check_invariants();
}

TEST_CASE("node table does not report who said goodbye and is back") {
    NodeTable table(options());
    table.on_alive(fake_record(1), at(0s));
    table.on_goodbye(fake_node(1), at(1s));
    table.on_alive(fake_record(1), at(2s));
    CHECK(table.expire(at(3s)).empty());
    table.check_invariants();
}

TEST_CASE("node table calls nobody gone while this node is cut off") {
    NodeTable table(options());
    for (std::uint32_t i = 1; i <= 3; ++i)
        table.on_alive(fake_record(i), at(0s));
    for (std::uint32_t i = 1; i <= 3; ++i)
        table.on_missing(fake_node(i), at(10s));
    CHECK(table.cut_off());
    CHECK_FALSE(table.next_deadline());
    CHECK(table.expire(at(24h)).empty());
    CHECK(table.counts(fake_node(1)));

    // Back on the network: the others have the rest of their grace to be found in.
    table.on_alive(fake_record(1), at(24h));
    CHECK_FALSE(table.cut_off());
    CHECK(table.next_deadline() == at(24h + 5min));
    CHECK(table.expire(at(24h + 5min - 1ns)).empty());
    CHECK(table.expire(at(24h + 5min)).size() == 2);
    table.check_invariants();
}

TEST_CASE("a node known from before a restart is missing until it is met, or its grace is over") {
    NodeTable table(options());
    table.on_known(fake_record(1), at(0s));
    table.on_known(fake_record(2), at(0s));
    table.on_known(fake_record(0), at(0s));  // this very node
    CHECK(table.find(fake_node(0)) == nullptr);
    CHECK(table.counts(fake_node(1)));
    CHECK_FALSE(table.is_alive(fake_node(1)));
    CHECK(table.missing_records().size() == 2);
    // Nobody has answered yet: the time until then does not count.
    CHECK(table.expire(at(10min)).empty());
    table.on_alive(fake_record(2), at(10min));
    table.on_known(fake_record(2), at(10min));
    CHECK(table.is_alive(fake_node(2)));
    CHECK(table.expire(at(10min + 5min - 1s)).empty());
    CHECK(table.expire(at(10min + 5min)) == std::vector{fake_node(1)});
    table.check_invariants();
}

TEST_CASE("who is only known from before is waited for no longer than a few minutes") {
    auto slow = options();
    slow.grace = 2h;
    NodeTable table(slow);
    table.on_alive(fake_record(1), at(0s));
    table.on_alive(fake_record(3), at(0s));
    table.on_known(fake_record(2), at(0s));
    table.on_missing(fake_node(1), at(0s));
    CHECK(table.expire(at(5min - 1s)).empty());
    CHECK(table.expire(at(5min)) == std::vector{fake_node(2)});
    CHECK(table.expire(at(2h)) == std::vector{fake_node(1)});
    table.check_invariants();
}

TEST_CASE("node table keeps the record with the highest sequence") {
    NodeTable table(options());
    NodeRecord record = fake_record(1);
    record.sequence = 5;
    record.capacity_class = 5;
    table.on_alive(record, at(0s));
    record.sequence = 4;
    record.capacity_class = 4;
    table.on_alive(record, at(1s));
    CHECK(table.find(fake_node(1))->record.capacity_class == 5);
    record.sequence = 6;
    record.capacity_class = 6;
    table.on_alive(record, at(2s));
    CHECK(table.find(fake_node(1))->record.capacity_class == 6);
    CHECK(table.find(fake_node(1))->since == at(0s));
    CHECK(table.alive() == 1);
}

TEST_CASE("node table forgets the longest gone first, then the longest missing, never the alive") {
    NodeTable::Options small = options();
    small.nodes_max = 4;
    NodeTable table(small);
    for (std::uint32_t i = 1; i <= 4; ++i)
        table.on_alive(fake_record(i), at(0s));
    table.on_goodbye(fake_node(2), at(1s));
    table.on_goodbye(fake_node(1), at(2s));
    table.on_missing(fake_node(3), at(3s));
    CHECK(table.expire(at(3s)).size() == 2);

    table.on_alive(fake_record(5), at(4s));
    CHECK(table.find(fake_node(2)) == nullptr);
    table.on_alive(fake_record(6), at(5s));
    CHECK(table.find(fake_node(1)) == nullptr);
    CHECK(table.expire(at(5s)).empty());
    table.on_alive(fake_record(7), at(6s));
    CHECK(table.find(fake_node(3)) == nullptr);
    CHECK(table.expire(at(6s)) == std::vector{fake_node(3)});
    table.on_alive(fake_record(8), at(7s));
    CHECK(table.find(fake_node(8)) == nullptr);
    CHECK(table.alive() == 4);
    table.check_invariants();
}

TEST_CASE("candidates are the nearest alive storing nodes that are not full") {
    NodeTable table(options());
    const DhtKey key = fake_item(1).key(core::KeySpace());
    std::vector<NodeId> storing;
    for (std::uint32_t i = 1; i <= 60; ++i) {
        NodeRecord record = fake_record(i);
        record.storing = i % 5 != 0;
        table.on_alive(record, at(0s));
        if (record.storing) storing.push_back(record.node());
    }
    std::ranges::sort(storing, {}, [&](const NodeId& n) { return distance(key, n); });
    table.on_full(storing[0], at(10s));
    table.on_full(storing[0], at(5s));  // the later time holds
    table.on_missing(storing[1], at(0s));

    std::vector<NodeId> expected(storing.begin() + 2, storing.begin() + 2 + limits::candidates_max);
    std::ranges::sort(expected);
    const auto ids = [&](TimePoint now) {
        std::vector<NodeId> result;
        for (const auto& candidate : table.candidates(key, now, wall(0s)))
            result.push_back(candidate.id);
        std::ranges::sort(result);
        return result;
    };
    CHECK(ids(at(10s - 1ns)) == expected);
    CHECK(std::ranges::count(ids(at(10s)), storing[0]) == 1);
}

TEST_CASE(
    "a node that stores takes its place among the candidates, so that all see the same ones") {
    const DhtKey key = fake_item(1).key(core::KeySpace());
    std::vector<NodeId> nearest;
    for (std::uint32_t i = 1; i <= limits::candidates_max + 5; ++i)
        nearest.push_back(fake_node(i));
    std::ranges::sort(nearest, {}, [&](const NodeId& n) { return distance(key, n); });
    const auto seen_by = [&](const NodeId& self, bool stores) {
        auto own = options();
        own.self = self;
        own.self_stores = stores;
        NodeTable table(own);
        for (std::uint32_t i = 1; i <= limits::candidates_max + 5; ++i)
            table.on_alive(fake_record(i), at(0s));
        std::set<NodeId> ids;
        for (const auto& candidate : table.candidates(key, at(0s), wall(0s)))
            ids.insert(candidate.id);
        return ids;
    };
    std::set<NodeId> all(nearest.begin(), nearest.begin() + limits::candidates_max);
    CHECK(seen_by(nearest.back(), true) == all);
    for (const std::size_t rank : {std::size_t{0}, std::size_t{limits::candidates_max - 1}}) {
        auto others = all;
        others.erase(nearest[rank]);
        CHECK(seen_by(nearest[rank], true) == others);
        others.insert(nearest[limits::candidates_max]);
        CHECK(seen_by(nearest[rank], false) == others);
    }
}

TEST_CASE("candidates come in placement order with class and group from the record") {
    NodeTable table(options());
    const DhtKey key = fake_item(1).key(core::KeySpace());
    std::vector<core::Candidate> expected;
    for (std::uint32_t i = 1; i <= 10; ++i) {
        NodeRecord record = fake_record(i);
        record.capacity_class = static_cast<std::uint8_t>(i);
        if (i == 3) record.addresses.clear();
        table.on_alive(record, at(0s));
        const auto group = i == 3 ? core::AddressGroup{} : record.addresses[0].group();
        expected.push_back({record.node(), group, record.capacity_class, false});
    }
    CHECK(table.candidates(key, at(0s), wall(0s)) == core::rank_candidates(key, expected));
    CHECK(NodeTable(options()).candidates(key, at(0s), wall(0s)).empty());
}

TEST_CASE("young is below the threshold or half the median, whichever is less") {
    const auto young_count = [](std::vector<Duration> uptimes) {
        NodeTable table(options());
        std::uint32_t number = 0;
        for (const Duration uptime : uptimes) {
            NodeRecord record = fake_record(++number);
            record.started_ms = to_unix_ms(wall(-uptime));
            table.on_alive(record, at(0s));
        }
        const auto candidates =
            table.candidates(fake_item(1).key(core::KeySpace()), at(0s), wall(0s));
        return std::ranges::count_if(candidates, [](const auto& c) { return c.young; });
    };
    CHECK(young_count({9min, 10min, 1h, 1h, 1h}) == 1);
    CHECK(young_count({10s, 20s, 20s, 20s, 20s}) == 0);  // a fresh swarm
    CHECK(young_count({9s, 20s, 20s, 20s, 20s}) == 1);
    CHECK(young_count({-1h, 1h, 1h}) == 1);  // its clock is ahead
    CHECK(young_count({1s}) == 0);
}

TEST_CASE("nearest lists alive storing nodes by distance, full ones included") {
    NodeTable table(options());
    const DhtKey key = fake_item(7).key(core::KeySpace());
    std::vector<NodeId> expected;
    for (std::uint32_t i = 1; i <= 30; ++i) {
        NodeRecord record = fake_record(i);
        record.storing = i % 3 != 0;
        table.on_alive(record, at(0s));
        if (record.storing) expected.push_back(record.node());
    }
    table.on_full(expected[0], at(1h));
    std::ranges::sort(expected, {}, [&](const NodeId& n) { return distance(key, n); });
    for (const std::size_t count : {0U, 1U, 19U, 20U, 21U}) {
        const auto records = table.nearest(key, count);
        REQUIRE(records.size() == std::min<std::size_t>(count, 20));
        for (std::size_t i = 0; i < records.size(); ++i)
            CHECK(records[i].node() == expected[i]);
    }
}

/// Node `number` in 192.0.`group`.0/24, or in 10.0.`group`.0/24.
NodeRecord record_in(std::uint32_t number, std::uint8_t group, bool scarce = true) {
    NodeRecord record = fake_record(number);
    auto& address = record.addresses.front().address;
    address[12] = scarce ? 192 : 10;
    address[13] = 0;
    address[14] = group;
    address[15] = static_cast<std::uint8_t>(number);
    return record;
}

TEST_CASE("who led poorly leads again when its time is over, and a stranger may") {
    NodeTable table({.self = fake_node(0)});
    table.on_alive(fake_record(1), at(0s));
    CHECK(table.may_lead(fake_node(1), at(0s)));
    CHECK(table.may_lead(fake_node(2), at(0s)));
    table.on_poor_lead(fake_node(1), at(10s));
    table.on_poor_lead(fake_node(1), at(5s));  // the later time holds
    table.on_poor_lead(fake_node(2), at(10s));
    CHECK_FALSE(table.may_lead(fake_node(1), at(10s - 1ns)));
    CHECK(table.may_lead(fake_node(1), at(10s)));
    CHECK(table.may_lead(fake_node(2), at(0s)));
}

TEST_CASE("of a scarce group one node is listed, and more only where there is nobody else") {
    const DhtKey key = fake_item(7).key(core::KeySpace());
    std::vector<std::uint32_t> order(40);
    std::iota(order.begin(), order.end(), 1U);
    std::ranges::sort(order, {}, [&](std::uint32_t n) { return distance(key, fake_node(n)); });
    for (const bool scarce : {true, false}) {
        CAPTURE(scarce);
        NodeTable table(options());
        // The nearest half is of two groups, and each other node of one of its own.
        for (std::uint32_t i = 0; i < order.size(); ++i)
            table.on_alive(
                record_in(order[i], static_cast<std::uint8_t>(i < 20 ? i % 2 : i), scarce), at(0s));
        std::vector<NodeId> expected;
        for (std::uint32_t i = 0; i < order.size(); ++i)
            if (!scarce || i < 2 || i >= 20) expected.push_back(fake_node(order[i]));
        if (scarce)
            for (std::uint32_t i = 2; i < 20; ++i)
                expected.push_back(fake_node(order[i]));
        for (const std::size_t count : {1U, 3U, 20U, 22U, 23U, 40U, 50U}) {
            CAPTURE(count);
            auto wanted = expected;
            wanted.resize(std::min(count, wanted.size()));
            CHECK(table.nearest_ids(key, count) == wanted);
        }
        const auto candidates = table.candidates(key, at(0s), wall(0s));
        CHECK(candidates.size() == limits::candidates_max);
        const auto from_crowd = std::ranges::count_if(candidates, [&](const auto& candidate) {
            return candidate.group == record_in(1, 0, scarce).addresses.front().group() ||
                   candidate.group == record_in(1, 1, scarce).addresses.front().group();
        });
        CHECK(from_crowd == (scarce ? 2 : 20));
    }
}

TEST_CASE(
    "a node is of the group where it was seen, whatever it claims; unless that costs nothing") {
    NodeTable table(options());
    const auto claimed = record_in(1, 5);
    const auto group_seen_at = [&](const char* address) {
        table.on_alive(claimed, at(0s), core::Endpoint::parse(address).value());
        return table.group_of(fake_node(1)).value();
    };
    const auto seen = core::Endpoint::parse("203.0.113.9:1").value().group();
    CHECK(group_seen_at("203.0.113.200:2929") == seen);
    CHECK(group_seen_at("10.1.2.3:2929") == claimed.addresses.front().group());
    CHECK(group_seen_at("127.0.0.1:2929") == claimed.addresses.front().group());
    table.on_alive(claimed, at(0s));
    CHECK(table.group_of(fake_node(1)) == claimed.addresses.front().group());
}

TEST_CASE("node table agrees with a naive model under random events") {
    struct Model {
        State state;
        TimePoint since;
    };
    for (unsigned seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        NodeTable table(options());
        std::map<NodeId, Model> model;
        TimePoint now = at(0s);
        // Node 99 stays alive, so nobody is ever cut off here.
        table.on_alive(fake_record(99), now);
        for (unsigned step = 0; step < 2000; ++step) {
            now += std::chrono::seconds(random() % 60);
            const auto number = static_cast<std::uint32_t>(1 + random() % 12);
            const NodeId node = fake_node(number);
            const bool known = model.contains(node);
            switch (random() % 4) {
                case 0:
                    table.on_alive(fake_record(number), now);
                    if (!known || model.at(node).state != State::alive)
                        model[node] = {State::alive, now};
                    break;
                case 1:
                    table.on_missing(node, now);
                    if (known && model.at(node).state == State::alive)
                        model[node] = {State::missing, now};
                    break;
                case 2:
                    if (random() % 4 != 0) break;
                    table.on_goodbye(node, now);
                    if (known) model[node].state = State::gone;
                    break;
                default:
                    (void)table.expire(now);
                    for (auto& [id, entry] : model)
                        if (entry.state == State::missing && now - entry.since >= 5min)
                            entry.state = State::gone;
            }
            table.check_invariants();
            for (const auto& [id, entry] : model) {
                REQUIRE(table.is_alive(id) == (entry.state == State::alive));
                REQUIRE(table.counts(id) == (entry.state != State::gone));
            }
        }
    }
}

}  // namespace
}  // namespace flow29::proto
