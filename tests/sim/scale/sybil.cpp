// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/scale/sybil.hpp"

#include <algorithm>
#include <set>

#include <flow29/limits.hpp>
#include "core/assert.hpp"
#include "core/descriptor.hpp"
#include "core/hash.hpp"
#include "core/placement.hpp"
#include "proto/crowd.hpp"
#include "sim/scale/nearest.hpp"

namespace flow29::sim::scale {
namespace {

constexpr std::size_t found_by_a_lookup = 14;  // as many as OpenDHT lists
constexpr std::size_t known_around = 40;
constexpr std::size_t known_elsewhere = 20;
constexpr std::size_t named_by_a_sybil = 20;
constexpr std::size_t asked_for_more = 3;
constexpr std::size_t asked_for_more_in_a_crowd = 12;
constexpr std::uint8_t capacity_class = 5;
constexpr std::uint8_t claimed_class = 20;
constexpr std::uint32_t chosen_from = 2;  // identities nearest to the key, for each that is used
constexpr std::uint64_t started_ms = 1;

TimePoint now() {
    return {};
}

WallTime wall_now() {
    return from_unix_ms(86'400'000);
}

std::uint64_t place_of(ByteView bytes) {
    std::uint64_t place = 0;
    for (unsigned i = 0; i < 8; ++i)
        place = place << 8 | bytes[i];
    return place;
}

template <class Key>
Key make_key(std::uint64_t seed) {
    Random random(seed);
    Key key;
    for (auto& octet : key.bytes)
        octet = static_cast<std::uint8_t>(random());
    return key;
}

/// Address `number` of group `group`, in 2001::/16.
core::Endpoint endpoint_in(std::uint32_t group, std::uint16_t number) {
    core::Endpoint endpoint;
    endpoint.address = {0x20, 0x01};
    for (unsigned i = 0; i < 4; ++i)
        endpoint.address[2 + i] = static_cast<std::uint8_t>(group >> (24 - 8 * i));
    endpoint.address[14] = static_cast<std::uint8_t>(number >> 8);
    endpoint.address[15] = static_cast<std::uint8_t>(number);
    endpoint.port = 2929;
    return endpoint;
}

proto::NodeRecord make_record(std::uint64_t seed, const core::Endpoint& endpoint,
                              std::uint8_t claimed) {
    proto::NodeRecord record;
    record.key = make_key<decltype(record.key)>(seed);
    record.addresses = {endpoint};
    record.capacity_class = claimed;
    record.storing = true;
    record.started_ms = started_ms;
    record.sequence = 1;
    return record;
}

}  // namespace

SybilModel::SybilModel(const Options& options) : options_(options), random_(options.seed) {
    for (Number number = 0; number < options_.nodes; ++number) {
        records_.push_back(make_record(random_(), endpoint_in(number, 1), capacity_class));
        ids_.push_back(records_.back().node());
        honest_.insert(place_of(ids_.back().view()), number);
        numbers_.emplace(ids_.back(), number);
    }
    tried_.reserve(options_.identities_tried);
    for (std::uint32_t i = 0; i < options_.identities_tried; ++i) {
        const auto seed = random_();
        const auto id = core::node_id_of(make_key<decltype(proto::NodeRecord::key)>(seed));
        tried_.push_back({place_of(id.view()), seed});
    }
    std::ranges::sort(tried_, {}, &Tried::place);
}

/// The identities that the attacker chooses for the next key, and who is where then.
SybilModel::Attack SybilModel::prepare(std::uint32_t identities, std::uint32_t groups) {
    for (const auto& id : std::vector(ids_.begin() + options_.nodes, ids_.end()))
        numbers_.erase(id);
    records_.resize(options_.nodes);
    ids_.resize(options_.nodes);

    Attack attack;
    attack.key = make_key<DhtKey>(random_());
    const auto place = place_of(attack.key.view());
    std::vector<core::Candidate> candidates;
    std::map<NodeId, std::uint64_t> seeds;
    for (const auto& tried : nearest_of(tried_, place, std::size_t{chosen_from} * identities)) {
        const auto id = core::node_id_of(make_key<decltype(proto::NodeRecord::key)>(tried.seed));
        seeds.emplace(id, tried.seed);
        core::Candidate candidate;
        candidate.id = id;
        candidates.push_back(candidate);
    }
    candidates = core::rank_candidates(attack.key, std::move(candidates));
    attack.ring = honest_;
    for (std::uint32_t i = 0; i < identities; ++i) {
        const auto group = options_.nodes + i % groups;
        const auto number = static_cast<Number>(records_.size());
        records_.push_back(make_record(seeds.at(candidates.at(i).id),
                                       endpoint_in(group, static_cast<std::uint16_t>(i)),
                                       claimed_class));
        ids_.push_back(records_.back().node());
        numbers_.emplace(ids_.back(), number);
        attack.ring.insert(place_of(ids_.back().view()), number);
        attack.sybils.push_back(number);
    }
    return attack;
}

void SybilModel::meet(proto::NodeTable& table, Number self, Number other) {
    if (other != self) table.on_alive(records_[other], now());
}

/// What a node knows before it looks anything up: its neighbours, and some others.
proto::NodeTable SybilModel::table_of(Number self, const Attack& attack) {
    proto::NodeTable::Options options;
    options.self = ids_[self];
    options.self_stores = true;
    proto::NodeTable table(options);
    for (const auto other : attack.ring.nearest(place_of(ids_[self].view()), known_around))
        meet(table, self, other);
    for (std::size_t i = 0; i < known_elsewhere; ++i)
        meet(table, self, static_cast<Number>(random_.below(options_.nodes)));
    return table;
}

/// How a node answers GetClosest.
std::vector<NodeId> SybilModel::closest_according_to(Number node, Attack& attack) {
    std::vector<NodeId> named;
    if (node >= options_.nodes) {
        for (std::size_t i = 0; i < std::min(named_by_a_sybil, attack.sybils.size()); ++i)
            named.push_back(ids_[attack.sybils[random_.below(attack.sybils.size())]]);
        return named;
    }
    auto known = attack.asked.find(node);
    if (known == attack.asked.end()) {
        known = attack.asked.emplace(node, table_of(node, attack)).first;
        for (const auto sybil : attack.sybils)
            meet(known->second, node, sybil);
    }
    for (const auto& record : known->second.nearest(attack.key, limits::candidates_max))
        named.push_back(record.node());
    return named;
}

/// As node::Neighbourhood::explore.
void SybilModel::look_up(proto::NodeTable& table, Number self, Attack& attack, Outcome& outcome) {
    std::vector<DhtKey> around, found;
    for (const auto& node : table.nearest_ids(core::dht_position(ids_[self]), found_by_a_lookup))
        around.push_back(core::dht_position(node));
    const auto list = [&](const DhtKey& key) {
        for (const auto other : attack.ring.nearest(place_of(key.view()), found_by_a_lookup)) {
            found.push_back(core::dht_position(ids_[other]));
            meet(table, self, other);
        }
    };
    list(attack.key);
    const proto::Crowd crowd(core::dht_position(ids_[self]), around);
    const auto beside = crowd.keys_beside(attack.key, found, make_key<DhtKey>(random_()));
    outcome.asides += beside.size();
    for (const auto& key : beside)
        list(key);
    std::set<Number> named;
    const auto asks = beside.empty() ? asked_for_more : asked_for_more_in_a_crowd;
    for (const auto& node : table.nearest_ids(attack.key, asks))
        for (const auto& other : closest_according_to(numbers_.at(node), attack))
            named.insert(numbers_.at(other));
    for (const auto other : named)
        meet(table, self, other);
}

SybilModel::Outcome SybilModel::attack(std::uint32_t identities, std::uint32_t groups) {
    FLOW29_ASSERT(groups > 0);
    Outcome outcome;
    random_ = Random(options_.seed + 1);
    for (std::uint32_t k = 0; k < options_.keys; ++k) {
        auto attack = prepare(identities, groups);
        const auto publisher = static_cast<Number>(random_.below(options_.nodes));
        auto table = table_of(publisher, attack);
        look_up(table, publisher, attack, outcome);
        std::set<NodeId> holders;
        for (const auto& candidate : table.candidates(attack.key, now(), wall_now())) {
            if (holders.size() == options_.copies) break;
            ++outcome.counted;
            const bool is_honest = numbers_.at(candidate.id) < options_.nodes;
            if (!is_honest) ++outcome.captured;
            holders.insert(candidate.id);
        }
        std::erase_if(holders, [&](const NodeId& id) { return numbers_.at(id) >= options_.nodes; });
        for (std::uint32_t i = 0; i < options_.lookups; ++i) {
            const auto reader = static_cast<Number>(random_.below(options_.nodes));
            auto known = table_of(reader, attack);
            look_up(known, reader, attack, outcome);
            const auto is_met = [&](const NodeId& id) {
                return id == ids_[reader] || known.is_alive(id);
            };
            ++outcome.lookups;
            if (std::ranges::none_of(holders, is_met)) ++outcome.denied;
        }
    }
    return outcome;
}

}  // namespace flow29::sim::scale
