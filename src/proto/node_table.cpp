// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/node_table.hpp"

#include <algorithm>
#include <iterator>

#include <flow29/limits.hpp>
#include "core/assert.hpp"

namespace flow29::proto {
namespace {

using Distance = DhtKey;  // compares as a big-endian number

/// A node's place in the DHT is the first 20 bytes of its id.
Distance distance(const DhtKey& key, const NodeId& node) {
    Distance result;
    for (std::size_t i = 0; i < DhtKey::size; ++i)
        result.bytes[i] = static_cast<std::uint8_t>(key.bytes[i] ^ node.bytes[i]);
    return result;
}

/// 0 for a node whose clock is ahead of ours.
std::uint64_t uptime_ms(const NodeRecord& record, WallTime now) {
    const std::uint64_t now_ms = to_unix_ms(now);
    return now_ms > record.started_ms ? now_ms - record.started_ms : 0;
}

core::AddressGroup group_in(const NodeRecord& record) {
    return record.addresses.empty() ? core::AddressGroup{} : record.addresses.front().group();
}

}  // namespace

struct NodeTable::Near {
    Distance distance;
    const NodeId* node;
    const Entry* entry;
};

NodeTable::NodeTable(Options options) : options_(options) {
    FLOW29_ASSERT(options_.nodes_max > 0);
}

void NodeTable::on_alive(const NodeRecord& record, TimePoint now,
                         const std::optional<core::Endpoint>& seen) {
    const NodeId node = record.node();
    if (node == options_.self) return;
    if (!nodes_.contains(node) && !make_room(now)) return;
    const auto [found, is_new] = nodes_.try_emplace(node);
    Entry& entry = found->second;
    if (is_new || record.sequence > entry.record.sequence) entry.record = record;
    const bool is_shown = seen && core::is_scarce(seen->group());
    entry.group = is_shown ? seen->group() : group_in(entry.record);
    if (!is_new && entry.state == State::alive) return;

    if (!is_new) leave_state(node, entry, now);
    unreported_.erase(node);  // also when it was forgotten and is new again
    entry.state = State::alive;
    entry.since = now;
    if (alive_ == 0) end_cut_off(now);
    ++alive_;
}

void NodeTable::on_known(const NodeRecord& record, TimePoint now) {
    const NodeId node = record.node();
    if (node == options_.self || nodes_.contains(node) || !make_room(now)) return;
    if (alive_ == 0 && missing_.empty()) cut_off_since_ = now;
    Entry& entry = nodes_[node];
    entry.record = record;
    entry.group = group_in(record);
    entry.state = State::missing;
    entry.since = now;
    entry.gone_at = now + std::min(options_.grace, options_.grace_known_max);
    missing_.emplace(entry.gone_at, node);
}

void NodeTable::on_missing(const NodeId& node, TimePoint now) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end() || found->second.state != State::alive) return;
    Entry& entry = found->second;
    leave_state(node, entry, now);
    entry.state = State::missing;
    entry.since = now;
    entry.gone_at = now + options_.grace;
    missing_.emplace(entry.gone_at, node);
}

void NodeTable::on_goodbye(const NodeId& node, TimePoint now) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end() || found->second.state == State::gone) return;
    leave_state(node, found->second, now);
    become_gone(node, found->second, now);
}

void NodeTable::on_full(const NodeId& node, TimePoint until) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return;
    found->second.full_until = std::max(found->second.full_until, until);
}

void NodeTable::on_poor_lead(const NodeId& node, TimePoint until) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return;
    found->second.poor_until = std::max(found->second.poor_until, until);
}

bool NodeTable::may_lead(const NodeId& node, TimePoint now) const {
    const auto found = nodes_.find(node);
    return found == nodes_.end() || found->second.poor_until <= now;
}

void NodeTable::on_silent(const NodeId& node, TimePoint until) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return;
    found->second.silent_until = std::max(found->second.silent_until, until);
}

bool NodeTable::is_silent(const NodeId& node, TimePoint now) const {
    const auto found = nodes_.find(node);
    return found != nodes_.end() && now < found->second.silent_until;
}

bool NodeTable::on_room(const NodeId& node, TimePoint now) {
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return false;
    Entry& entry = found->second;
    if (entry.room_at && now - *entry.room_at < options_.room_news_pause) return false;
    entry.full_until = TimePoint::min();
    entry.room_at = now;
    return true;
}

bool NodeTable::got_room_since(const NodeId& node, TimePoint time) const {
    const Entry* entry = find(node);
    return entry != nullptr && entry->room_at && *entry->room_at > time;
}

std::vector<NodeId> NodeTable::expire(TimePoint now) {
    while (!cut_off() && !missing_.empty() && missing_.begin()->first <= now) {
        const auto [gone_at, node] = *missing_.begin();
        Entry& entry = nodes_.at(node);
        leave_state(node, entry, now);
        become_gone(node, entry, gone_at);
    }
    std::vector<NodeId> result(unreported_.begin(), unreported_.end());
    unreported_.clear();
    unreported_since_.reset();
    return result;
}

std::optional<TimePoint> NodeTable::next_deadline() const {
    if (!unreported_.empty()) return unreported_since_;
    if (cut_off() || missing_.empty()) return std::nullopt;
    return missing_.begin()->first;
}

const NodeTable::Entry* NodeTable::find(const NodeId& node) const {
    const auto found = nodes_.find(node);
    return found == nodes_.end() ? nullptr : &found->second;
}

bool NodeTable::is_alive(const NodeId& node) const {
    const Entry* entry = find(node);
    return entry != nullptr && entry->state == State::alive;
}

bool NodeTable::counts(const NodeId& node) const {
    const Entry* entry = find(node);
    return entry != nullptr && entry->state != State::gone;
}

std::optional<core::AddressGroup> NodeTable::group_of(const NodeId& node) const {
    if (node == options_.self) return self_group_;
    const Entry* entry = find(node);
    if (entry == nullptr) return std::nullopt;
    return entry->group;
}

std::vector<NodeRecord> NodeTable::alive_records() const {
    std::vector<NodeRecord> result;
    result.reserve(alive_);
    for (const auto& [node, entry] : nodes_)
        if (entry.state == State::alive) result.push_back(entry.record);
    return result;
}

std::vector<NodeRecord> NodeTable::missing_records() const {
    std::vector<NodeRecord> result;
    result.reserve(missing_.size());
    for (const auto& [gone_at, node] : missing_)
        result.push_back(nodes_.at(node).record);
    return result;
}

std::vector<core::Candidate> NodeTable::candidates(const DhtKey& key, TimePoint now,
                                                   WallTime wall_now) const {
    const auto has_room = [now](const Entry& entry) { return entry.full_until <= now; };
    std::vector<Near> near = nearest_if(key, limits::candidates_max, has_room);
    if (near.empty()) return {};
    const auto farthest = std::ranges::max_element(near, {}, &Near::distance);
    const bool self_is_near =
        options_.self_stores && distance(key, options_.self) < farthest->distance;
    if (self_is_near && near.size() == limits::candidates_max) near.erase(farthest);

    std::vector<std::uint64_t> uptimes_ms;
    uptimes_ms.reserve(near.size());
    for (const Near& n : near)
        uptimes_ms.push_back(uptime_ms(n.entry->record, wall_now));
    const auto median = uptimes_ms.begin() + static_cast<std::ptrdiff_t>(near.size() / 2);
    std::ranges::nth_element(uptimes_ms, median);
    const auto youth = std::chrono::duration_cast<std::chrono::milliseconds>(options_.youth);
    const auto threshold_ms = std::min(static_cast<std::uint64_t>(youth.count()), *median / 2);

    std::vector<core::Candidate> result;
    result.reserve(near.size());
    for (const Near& n : near) {
        const NodeRecord& record = n.entry->record;
        result.push_back({.id = *n.node,
                          .group = n.entry->group,
                          .capacity_class = record.capacity_class,
                          .young = uptime_ms(record, wall_now) < threshold_ms});
    }
    return core::rank_candidates(key, std::move(result));
}

std::vector<NodeRecord> NodeTable::nearest(const DhtKey& key, std::size_t count_max) const {
    std::vector<NodeRecord> result;
    for (const Near& n : nearest_if(key, count_max, [](const Entry&) { return true; }))
        result.push_back(n.entry->record);
    return result;
}

std::vector<NodeId> NodeTable::nearest_ids(const DhtKey& key, std::size_t count_max) const {
    std::vector<NodeId> result;
    for (const Near& n : nearest_if(key, count_max, [](const Entry&) { return true; }))
        result.push_back(*n.node);
    return result;
}

/// The alive storing nodes that are `wanted`, nearest first, those that are too many of their group
/// behind all others.
template <class Predicate>
std::vector<NodeTable::Near> NodeTable::nearest_if(const DhtKey& key, std::size_t count_max,
                                                   Predicate wanted) const {
    std::vector<Near> near;
    near.reserve(alive_);
    for (const auto& [node, entry] : nodes_) {
        const bool may_hold = entry.state == State::alive && entry.record.storing;
        if (may_hold && wanted(entry)) near.push_back({distance(key, node), &node, &entry});
    }
    // Sorted step by step: nearly always the first step is all that is needed.
    std::unordered_map<core::AddressGroup, std::size_t> used;
    std::vector<Near> listed, over;
    auto sorted = near.begin();
    while (listed.size() < count_max && sorted != near.end()) {
        const auto step =
            std::min<std::ptrdiff_t>(near.end() - sorted, static_cast<std::ptrdiff_t>(count_max));
        std::ranges::partial_sort(sorted, sorted + step, near.end(), {}, &Near::distance);
        for (const auto end = sorted + step; sorted != end && listed.size() < count_max; ++sorted) {
            const auto& group = sorted->entry->group;
            const bool has_room = !core::is_scarce(group) || ++used[group] <= per_group_max;
            (has_room ? listed : over).push_back(*sorted);
        }
    }
    over.erase(over.begin() +
                   static_cast<std::ptrdiff_t>(std::min(over.size(), count_max - listed.size())),
               over.end());
    listed.insert(listed.end(), over.begin(), over.end());
    return listed;
}

/// Takes the node off the books of its present state.
void NodeTable::leave_state(const NodeId& node, const Entry& entry, TimePoint now) {
    switch (entry.state) {
        case State::alive:
            if (--alive_ == 0) cut_off_since_ = now;
            break;
        case State::missing:
            missing_.erase({entry.gone_at, node});
            break;
        case State::gone:
            gone_.erase({entry.since, node});
            break;
    }
}

void NodeTable::become_gone(const NodeId& node, Entry& entry, TimePoint since) {
    entry.state = State::gone;
    entry.since = since;
    gone_.emplace(since, node);
    unreported_.insert(node);
    if (!unreported_since_) unreported_since_ = since;
}

void NodeTable::end_cut_off(TimePoint now) {
    ByTime extended;
    for (const auto& [gone_at, node] : missing_) {
        Entry& entry = nodes_.at(node);
        entry.gone_at = gone_at + (now - cut_off_since_);
        extended.emplace_hint(extended.end(), entry.gone_at, node);
    }
    missing_ = std::move(extended);
}

/// True when there is, or could be made, room for one more.
bool NodeTable::make_room(TimePoint now) {
    if (nodes_.size() < options_.nodes_max) return true;
    if (!gone_.empty()) {
        nodes_.erase(gone_.begin()->second);
        gone_.erase(gone_.begin());
        return true;
    }
    if (missing_.empty()) return false;
    const NodeId node = missing_.begin()->second;
    missing_.erase(missing_.begin());
    nodes_.erase(node);
    // Whoever counted it as a holder has to hear that it no longer counts.
    unreported_.insert(node);
    if (!unreported_since_) unreported_since_ = now;
    return true;
}

void NodeTable::check_invariants() const {
    std::size_t alive = 0;
    for (const auto& [node, entry] : nodes_) {
        FLOW29_ASSERT(node != options_.self);
        if (entry.state == State::alive) ++alive;
        if (entry.state == State::missing) FLOW29_ASSERT(missing_.contains({entry.gone_at, node}));
        if (entry.state == State::gone) FLOW29_ASSERT(gone_.contains({entry.since, node}));
    }
    FLOW29_ASSERT(alive == alive_);
    FLOW29_ASSERT(alive + missing_.size() + gone_.size() == nodes_.size());
    FLOW29_ASSERT(nodes_.size() <= options_.nodes_max);
    FLOW29_ASSERT(unreported_.empty() || unreported_since_.has_value());
    for (const NodeId& node : unreported_)
        FLOW29_ASSERT(!counts(node));
}

}  // namespace flow29::proto
