// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/crowd.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

using namespace flow29;
using proto::Crowd;

namespace {

DhtKey random_key(std::mt19937_64& random) {
    DhtKey key;
    for (auto& octet : key.bytes)
        octet = static_cast<std::uint8_t>(random());
    return key;
}

DhtKey difference(const DhtKey& a, const DhtKey& b) {
    DhtKey result;
    for (std::size_t i = 0; i < DhtKey::size; ++i)
        result.bytes[i] = static_cast<std::uint8_t>(a.bytes[i] ^ b.bytes[i]);
    return result;
}

std::vector<DhtKey> nearest(std::vector<DhtKey> nodes, const DhtKey& key, std::size_t count) {
    std::ranges::sort(nodes, {}, [&](const DhtKey& node) { return difference(node, key); });
    nodes.resize(std::min(count, nodes.size()));
    return nodes;
}

struct World {
    explicit World(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
            nodes.push_back(random_key(random));
    }
    std::vector<DhtKey> keys_beside(const DhtKey& self, const DhtKey& key) {
        const Crowd crowd(self, nearest(nodes, self, 14));
        return crowd.keys_beside(key, nearest(nodes, key, 14), random_key(random));
    }
    std::mt19937_64 random{29};
    std::vector<DhtKey> nodes;
};

}  // namespace

TEST_CASE("an honest swarm of any size crowds no key") {
    for (const std::size_t size : {0U, 1U, 7U, 8U, 20U, 64U, 500U, 2000U}) {
        CAPTURE(size);
        World world(size);
        for (int i = 0; i < 100; ++i)
            CHECK(world.keys_beside(random_key(world.random), random_key(world.random)).empty());
    }
}

TEST_CASE("the size of a swarm is seen from the nodes around one") {
    World world(2000);
    for (int i = 0; i < 20; ++i) {
        const auto self = random_key(world.random);
        const Crowd crowd(self, nearest(world.nodes, self, 14));
        CHECK(crowd.swarm_size() > 500);
        CHECK(crowd.swarm_size() < 8000);
        CHECK(Crowd(self, nearest(world.nodes, self, 7)).swarm_size() == 0);
    }
}

TEST_CASE("who hides the nodes around a key does not hide all of them from look-ups beside it") {
    World world(2000);
    for (int i = 0; i < 20; ++i) {
        const auto key = random_key(world.random);
        const auto hidden = nearest(world.nodes, key, 10);
        const auto honest = world.nodes;
        for (int sybil = 0; sybil < 50; ++sybil) {
            auto made = random_key(world.random);
            std::copy_n(key.bytes.begin(), 3, made.bytes.begin());
            world.nodes.push_back(made);
        }
        const auto listed = nearest(world.nodes, key, 14);
        CHECK(std::ranges::none_of(listed, [&](const DhtKey& node) {
            return std::ranges::find(honest, node) != honest.end();
        }));
        const auto beside = world.keys_beside(random_key(world.random), key);
        CHECK(beside.size() == 8);
        std::set<DhtKey> found;
        for (const auto& place : beside)
            for (const auto& node : nearest(world.nodes, place, 14))
                found.insert(node);
        const auto met =
            std::ranges::count_if(hidden, [&](const DhtKey& node) { return found.contains(node); });
        CHECK(met >= 3);
        world.nodes = honest;
    }
}
