// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/placement.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <set>

using namespace flow29;
using namespace flow29::core;
using test::make_id;

namespace {

constexpr std::uint64_t GiB = 1ULL << 30;

AddressGroup group_in(std::uint8_t network, std::uint64_t number) {
    AddressGroup group;
    group.bytes = {4, network, static_cast<std::uint8_t>(number >> 8),
                   static_cast<std::uint8_t>(number)};
    return group;
}

AddressGroup private_group(std::uint64_t number) {
    return group_in(10, number);
}

AddressGroup scarce_group(std::uint64_t number) {
    return group_in(11, number);
}

/// Candidate number `seed`, in an address group of its own, for private use.
Candidate make_candidate(std::uint64_t seed, std::uint8_t capacity_class = 5) {
    return {make_id<NodeId>(seed), private_group(seed), capacity_class, false};
}

std::vector<Candidate> make_candidates(std::uint64_t count, std::uint8_t capacity_class = 5) {
    std::vector<Candidate> candidates;
    for (std::uint64_t i = 0; i < count; ++i)
        candidates.push_back(make_candidate(i, capacity_class));
    return candidates;
}

std::vector<Candidate> make_scarce(std::uint64_t count) {
    auto candidates = make_candidates(count);
    for (std::uint64_t i = 0; i < count; ++i)
        candidates[i].group = scarce_group(i);
    return candidates;
}

DhtKey key(std::uint64_t seed) {
    return make_id<DhtKey>(1'000'000 + seed);
}

std::set<NodeId> first_ids(const std::vector<Candidate>& ranked, std::size_t count) {
    std::set<NodeId> ids;
    for (std::size_t i = 0; i < count; ++i)
        ids.insert(ranked[i].id);
    return ids;
}

/// How often each candidate is among the first `copies`, over `keys` keys.
std::map<NodeId, int> places(const std::vector<Candidate>& candidates, std::uint64_t keys,
                             std::size_t copies) {
    std::map<NodeId, int> count;
    for (std::uint64_t k = 0; k < keys; ++k)
        for (const auto& id : first_ids(rank_candidates(key(k), candidates), copies))
            ++count[id];
    return count;
}

}  // namespace

TEST_CASE("capacity classes are powers of two of a GiB, from 0 to 20") {
    const auto class_of = [](std::uint64_t bytes) {
        return int{capacity_class_of(ByteCount(bytes))};
    };
    CHECK(class_of(0) == 0);
    CHECK(class_of(GiB - 1) == 0);
    CHECK(class_of(GiB) == 1);
    CHECK(class_of(2 * GiB - 1) == 1);
    CHECK(class_of(2 * GiB) == 2);
    CHECK(class_of(1024 * GiB) == 11);
    CHECK(class_of((1ULL << 19) * GiB) == 20);
    CHECK(class_of((1ULL << 19) * GiB - 1) == 19);
    CHECK(class_of(~std::uint64_t{0}) == 20);
}

TEST_CASE("ranking nobody or one candidate works") {
    CHECK(rank_candidates(key(0), {}).empty());
    CHECK(rank_candidates(key(0), {make_candidate(1)}) == std::vector{make_candidate(1)});
}

TEST_CASE("every candidate is ranked once, even when named twice") {
    auto candidates = make_candidates(20);
    const auto once = rank_candidates(key(1), candidates);
    CHECK(once.size() == 20);
    CHECK(first_ids(once, 20).size() == 20);
    candidates.insert(candidates.end(), once.begin(), once.end());
    CHECK(rank_candidates(key(1), candidates) == once);
}

TEST_CASE("the ranking does not depend on the order of the candidates") {
    std::mt19937_64 random(29);
    auto candidates = make_candidates(20);
    for (auto& candidate : candidates) {
        candidate.group = make_id<AddressGroup>(random() % 6);
        candidate.capacity_class = static_cast<std::uint8_t>(random() % 21);
        candidate.young = random() % 3 == 0;
    }
    // The same node told of twice, differently.
    candidates.push_back(candidates.front());
    candidates.back().capacity_class ^= 1;
    for (std::uint64_t k = 0; k < 20; ++k) {
        const auto expected = rank_candidates(key(k), candidates);
        for (int i = 0; i < 10; ++i) {
            std::ranges::shuffle(candidates, random);
            CHECK(rank_candidates(key(k), candidates) == expected);
        }
    }
}

TEST_CASE("equal candidates get equal shares") {
    const auto count = places(make_candidates(10), 5000, 1);
    for (const auto& [id, won] : count) {
        CHECK(won > 400);  // 500 expected, standard deviation 21
        CHECK(won < 600);
    }
    CHECK(count.size() == 10);
}

TEST_CASE("shares of four copies follow capacity") {
    auto candidates = make_candidates(20);
    for (std::size_t i = 0; i < 10; ++i)
        candidates[i].capacity_class = 7;  // weight 4 each against 10 of weight 1
    const auto count = places(candidates, 5000, 4);
    for (std::size_t i = 0; i < 20; ++i) {
        const double due = 5000 * 4.0 * (i < 10 ? 4 : 1) / 50;
        CHECK(count.at(candidates[i].id) > 0.85 * due);
        CHECK(count.at(candidates[i].id) < 1.15 * due);
    }
}

TEST_CASE("weight is capped at eight times the median") {
    auto at_cap = make_candidates(60);
    at_cap[0].capacity_class = 5 + 3;
    auto above = at_cap;
    above[0].capacity_class = 20;
    for (std::uint64_t k = 0; k < 200; ++k)
        CHECK(std::ranges::equal(rank_candidates(key(k), at_cap), rank_candidates(key(k), above),
                                 {}, &Candidate::id, &Candidate::id));
    const double due = 4000 * 4.0 * 8 / 67;
    CHECK(places(above, 4000, 4)[above[0].id] > 0.85 * due);
    CHECK(places(above, 4000, 4)[above[0].id] < 1.15 * due);
}

TEST_CASE("only differences in capacity matter, also at class 0") {
    for (std::uint64_t k = 0; k < 50; ++k) {
        const auto small = rank_candidates(key(k), make_candidates(12, 0));
        const auto large = rank_candidates(key(k), make_candidates(12, 20));
        CHECK(std::ranges::equal(small, large, {}, &Candidate::id, &Candidate::id));
    }
}

TEST_CASE("a candidate whose group was used comes after all whose group was not") {
    std::mt19937_64 random(7);
    auto candidates = make_candidates(20);
    for (auto& candidate : candidates)
        candidate.group = make_id<AddressGroup>(random() % 5);
    for (std::uint64_t k = 0; k < 50; ++k) {
        const auto ranked = rank_candidates(key(k), candidates);
        std::set<AddressGroup> first_five;
        for (std::size_t i = 0; i < 5; ++i)
            first_five.insert(ranked[i].group);
        CHECK(first_five.size() == 5);
        // Group use never falls along the ranking.
        std::map<AddressGroup, int> used;
        int last_use = 0;
        for (const Candidate& candidate : ranked) {
            const int use = used[candidate.group]++;
            CHECK(use >= last_use);
            last_use = use;
        }
    }
}

TEST_CASE("a young candidate comes after the old ones of equal group use") {
    auto candidates = make_candidates(10);
    for (std::size_t i = 0; i < 4; ++i)
        candidates[i].young = true;
    for (std::uint64_t k = 0; k < 50; ++k)
        CHECK(std::ranges::is_sorted(rank_candidates(key(k), candidates), {}, &Candidate::young));

    // But an unused group beats age.
    auto old_first = make_candidate(1);
    auto old_second = make_candidate(2);
    auto young_elsewhere = make_candidate(3);
    old_second.group = old_first.group;
    young_elsewhere.young = true;
    for (std::uint64_t k = 0; k < 20; ++k) {
        const auto ranked = rank_candidates(key(k), {old_first, old_second, young_elsewhere});
        CHECK(ranked[1] == young_elsewhere);
    }
}

TEST_CASE("a swarm of one group or of young nodes alone is still ranked, by its nodes") {
    auto candidates = make_candidates(6);
    for (std::size_t i = 0; i < candidates.size(); ++i)
        candidates[i].group = private_group(i);
    const auto expected = rank_candidates(key(3), candidates);
    for (const auto& group : {private_group(0), scarce_group(0), AddressGroup{}}) {
        for (auto& candidate : candidates) {
            candidate.group = group;
            candidate.young = true;
        }
        const auto ranked = rank_candidates(key(3), candidates);
        CHECK(std::ranges::equal(ranked, expected, {}, &Candidate::id, &Candidate::id));
    }
}

TEST_CASE("addresses that the whole network shares are scarce, and so is to have none") {
    const auto scarce = [](const char* address) {
        return is_scarce(Endpoint::parse(address).value().group());
    };
    for (const auto* address : {"192.0.2.1:1", "11.0.0.1:1", "172.15.0.1:1", "172.32.0.1:1",
                                "192.167.0.1:1", "100.63.0.1:1", "100.128.0.1:1", "169.253.0.1:1",
                                "128.0.0.1:1", "[2001:db8::1]:1", "[fe00::1]:1", "[fec0::1]:1"}) {
        CAPTURE(address);
        CHECK(scarce(address));
    }
    for (const auto* address : {"127.0.0.1:1", "127.9.0.1:1", "10.0.0.1:1", "172.16.0.1:1",
                                "172.31.0.1:1", "192.168.1.1:1", "100.64.0.1:1", "100.127.0.1:1",
                                "169.254.0.1:1", "[::1]:1", "[fd00::1]:1", "[fe80::1]:1"}) {
        CAPTURE(address);
        CHECK_FALSE(scarce(address));
    }
    CHECK(is_scarce(AddressGroup{}));
}

TEST_CASE(
    "who makes identities to come first does so in a scarce group as often as chance has it") {
    // Of a thousand identities, the one that would be first by itself.
    const auto firsts = [](const AddressGroup& group) {
        int first = 0;
        for (std::uint64_t k = 0; k < 200; ++k) {
            std::vector<Candidate> made;
            for (std::uint64_t i = 0; i < 1000; ++i)
                made.push_back({make_id<NodeId>(1'000 + i), {}, 20, false});
            auto candidates = make_scarce(19);
            candidates.push_back(rank_candidates(key(k), made).front());
            candidates.back().group = group;
            if (rank_candidates(key(k), candidates).front() == candidates.back()) ++first;
        }
        return first;
    };
    CHECK(firsts(private_group(77)) > 190);
    // Of 20, with twice the weight of the others.
    const int by_chance = firsts(scarce_group(77));
    CHECK(by_chance > 5);
    CHECK(by_chance < 45);
}

TEST_CASE("what a node of a scarce group claims to have room for counts twice the median at most") {
    auto at_cap = make_scarce(21);
    auto above = at_cap;
    at_cap[0].capacity_class = 6;
    above[0].capacity_class = 20;
    for (std::uint64_t k = 0; k < 50; ++k)
        CHECK(std::ranges::equal(rank_candidates(key(k), at_cap), rank_candidates(key(k), above),
                                 {}, &Candidate::id, &Candidate::id));
}

TEST_CASE("a node that goes moves only its own share") {
    const auto all = make_candidates(20);
    int moved = 0;
    for (std::uint64_t k = 0; k < 200; ++k) {
        const auto before = rank_candidates(key(k), all);
        auto rest = all;
        rest.erase(rest.begin() + 7);
        auto expected = before;
        std::erase(expected, all[7]);
        CHECK(rank_candidates(key(k), rest) == expected);
        moved += static_cast<int>(first_ids(before, 4).contains(all[7].id));
    }
    CHECK(moved > 15);  // 40 expected: it held 4 of 20
    CHECK(moved < 70);
}

TEST_CASE("a node that comes takes at most one place among the targets") {
    const auto before = make_candidates(19);
    auto after = before;
    after.push_back(make_candidate(19));
    for (std::uint64_t k = 0; k < 200; ++k) {
        const auto old_targets = first_ids(rank_candidates(key(k), before), 4);
        const auto new_targets = first_ids(rank_candidates(key(k), after), 4);
        std::set<NodeId> gone;
        std::ranges::set_difference(old_targets, new_targets, std::inserter(gone, gone.end()));
        CHECK(gone.size() == (new_targets.contains(after.back().id) ? 1 : 0));
    }
}

TEST_CASE("the ranking is the same on every machine") {
    // Computed by a second implementation. A change here moves every copy of every swarm.
    DhtKey place;
    place.bytes.fill(0x29);
    const auto order_in = [&place](std::uint8_t network) {
        std::vector<Candidate> candidates(8);
        for (std::uint8_t i = 0; i < 8; ++i) {
            candidates[i].id.bytes.fill(static_cast<std::uint8_t>(i + 1));
            candidates[i].group = group_in(network, i);
            candidates[i].capacity_class = 5;
        }
        candidates[2].capacity_class = 9;
        candidates[4].young = true;
        candidates[5].group = candidates[0].group;
        candidates[7].capacity_class = 3;
        std::vector<int> order;
        for (const Candidate& candidate : rank_candidates(place, candidates))
            order.push_back(candidate.id.bytes[0]);
        return order;
    };
    CHECK(order_in(10) == std::vector<int>{3, 1, 7, 2, 4, 8, 5, 6});
    CHECK(order_in(192) == std::vector<int>{7, 3, 2, 1, 4, 8, 5, 6});
}
