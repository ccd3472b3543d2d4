// SPDX-License-Identifier: GPL-3.0-or-later
// What the nodes of a ScaleSwarm learn of each other.
#include "sim/scale/scale_swarm.hpp"

#include <iterator>

#include "core/assert.hpp"

namespace flow29::sim::scale {
namespace {

constexpr std::size_t found_by_a_lookup = 14;  // as many as OpenDHT lists

}  // namespace

bool ScaleSwarm::connected(NodeNumber a, NodeNumber b) const {
    return contains(nodes_[a].peers, b);
}

/// What both keep.
Numbers ScaleSwarm::common(NodeNumber a, NodeNumber b) const {
    Numbers result;
    std::ranges::set_intersection(nodes_[a].kept, nodes_[b].kept, std::back_inserter(result));
    return result;
}

void ScaleSwarm::connect(NodeNumber a, NodeNumber b) {
    FLOW29_ASSERT(a != b && nodes_[a].up && nodes_[b].up);
    if (connected(a, b)) return;
    insert(nodes_[a].peers, b);
    insert(nodes_[b].peers, a);
    ++links_;
    meet(a, b);
    meet(b, a);
}

/// A connection came about: who the other is, and what of that which is kept here it keeps.
void ScaleSwarm::meet(NodeNumber self, NodeNumber other) {
    Mind& mind = *nodes_[self].mind;
    const Node& peer = nodes_[other];
    mind.table.on_alive(peer.record, now_);
    mind.planner.on_node_changed(peer.id, now_);
    for (const ExtentNumber extent : common(self, other))
        mind.planner.on_copy(extents_[extent].item, peer.id, now_);
    mind.planner.on_candidates_changed(now_);
    touch(self);
}

/// `other` kept the same before `self` restarted, and cannot be reached: for the grace period it
/// counts.
void ScaleSwarm::expect_again(NodeNumber self, NodeNumber other) {
    Mind& mind = *nodes_[self].mind;
    const Node& absent = nodes_[other];
    mind.table.on_known(absent.record, now_);
    for (const ExtentNumber extent : common(self, other))
        mind.planner.on_copy(extents_[extent].item, absent.id, now_);
}

/// `holder` says to `self` that it keeps an extent.
void ScaleSwarm::learn(NodeNumber self, NodeNumber holder, ExtentNumber extent) {
    if (!contains(nodes_[self].kept, extent)) return;
    nodes_[self].mind->planner.on_copy(extents_[extent].item, nodes_[holder].id, now_);
    touch(self);
}

/// `self` and its connected co-holders tell each other that they keep the extent.
void ScaleSwarm::tell(NodeNumber self, ExtentNumber extent) {
    if (!contains(nodes_[self].kept, extent)) return;
    for (const NodeNumber peer : nodes_[self].peers) {
        if (!contains(nodes_[peer].kept, extent)) continue;
        learn(self, peer, extent);
        learn(peer, self, extent);
    }
}

/// `self` hears from the holders it is connected to of those it is not connected to, and gets to
/// know them. Who is connected knows what the other keeps, so the connections say who knows whom.
void ScaleSwarm::widen(NodeNumber self, ExtentNumber extent) {
    if (!contains(nodes_[self].kept, extent)) return;
    Numbers known;
    Numbers unknown;
    for (const NodeNumber holder : extents_[extent].live_holders)
        if (holder != self) (connected(self, holder) ? known : unknown).push_back(holder);
    for (const NodeNumber holder : unknown) {
        const auto knows = [&](NodeNumber other) { return connected(other, holder); };
        if (std::ranges::any_of(known, knows)) connect(self, holder);
    }
}

/// A lookup in the DHT, and everybody it lists is dialled.
void ScaleSwarm::find_candidates(NodeNumber self, const DhtKey& key) {
    truth_.count(&Totals::lookups, now_);
    for (const NodeNumber other : ring_.nearest(place_of(key.view()), found_by_a_lookup))
        if (other != self) connect(self, other);
}

/// Of the holders of an extent that `self` knows, those that are up.
Numbers ScaleSwarm::live_holders(NodeNumber self, ExtentNumber extent) const {
    Numbers result;
    for (const NodeId& id : nodes_[self].mind->planner.holders(extents_[extent].item)) {
        const NodeNumber number = numbers_.at(id);
        if (nodes_[number].up) result.push_back(number);
    }
    return result;
}

}  // namespace flow29::sim::scale
