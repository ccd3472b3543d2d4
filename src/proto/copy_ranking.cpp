// SPDX-License-Identifier: GPL-3.0-or-later
// Who acts for an item, who is asked to hold it, and who may let it go.
#include <algorithm>
#include <functional>

#include "core/hash.hpp"
#include "proto/copy_planner.hpp"

namespace flow29::proto {
namespace {

core::Sha256Digest rank_of(const DhtKey& key, const NodeId& node) {
    return core::sha256({key.view(), node.view()});
}

}  // namespace

/// When this node may act for the item, given who else holds it.
TimePoint CopyPlanner::our_turn(const Item& entry) const {
    if (options_.always_act) return *entry.under_since;
    const core::Sha256Digest ours = rank_of(entry.key, options_.self);
    const auto before_us = std::ranges::count_if(entry.holders, [&](const auto& holder) {
        return table_.is_alive(holder.first) &&
               (entry.bystander || rank_of(entry.key, holder.first) < ours);
    });
    return std::max(*entry.settled_at, *entry.under_since + before_us * options_.takeover);
}

std::optional<NodeId> CopyPlanner::choose(const Item& entry, TimePoint now,
                                          WallTime wall_now) const {
    const auto may_ask = [&](const core::Candidate& candidate) {
        const auto refused = entry.refused_until.find(candidate.id);
        return candidate.id != options_.self && !entry.holders.contains(candidate.id) &&
               !entry.pending.contains(candidate.id) &&
               (refused == entry.refused_until.end() || refused->second <= now);
    };
    auto candidates = table_.candidates(entry.key, now, wall_now);
    std::erase_if(candidates, std::not_fn(may_ask));
    if (candidates.empty()) return std::nullopt;
    const auto used = groups_used(entry);
    const auto copies_beside = [&used](const core::Candidate& candidate) {
        return std::ranges::count(used, candidate.group);
    };
    return std::ranges::min_element(candidates, {}, copies_beside)->id;
}

/// The address groups of all copies, those on the way included; a group once for each.
std::vector<core::AddressGroup> CopyPlanner::groups_used(const Item& entry) const {
    std::vector<core::AddressGroup> groups;
    const auto add = [&](const NodeId& node) {
        const auto group = table_.group_of(node);
        if (group && table_.counts(node)) groups.push_back(*group);
    };
    for (const auto& [node, counts] : entry.holders)
        add(node);
    for (const auto& [node, until] : entry.pending)
        add(node);
    if (options_.self_is_copy && !entry.bystander)
        if (const auto own = table_.group_of(options_.self)) groups.push_back(*own);
    return groups;
}

std::vector<NodeId> CopyPlanner::enough_without_us(const ItemId& item) const {
    const Item* entry = find(item);
    if (entry == nullptr || !options_.self_is_copy || entry->bystander) return {};
    const core::Sha256Digest ours = rank_of(entry->key, options_.self);
    std::vector<std::pair<core::Sha256Digest, NodeId>> before_us;
    std::set<core::AddressGroup> groups;
    const auto note_group = [&](const NodeId& node) {
        if (const auto group = table_.group_of(node)) groups.insert(*group);
    };
    note_group(options_.self);
    for (const auto& [node, counts] : entry->holders) {
        if (!table_.is_alive(node)) continue;
        note_group(node);
        if (auto rank = rank_of(entry->key, node); rank < ours) before_us.emplace_back(rank, node);
    }
    const std::size_t enough = goal(*entry);
    if (before_us.size() < enough) return {};
    std::ranges::sort(before_us);
    // One of each address group first, the others after them.
    std::vector<NodeId> chosen, others;
    std::set<core::AddressGroup> taken;
    for (const auto& [rank, node] : before_us) {
        const auto group = table_.group_of(node);
        (group && taken.insert(*group).second ? chosen : others).push_back(node);
    }
    const bool as_far_apart = taken.size() >= std::min(enough, groups.size());
    if (!as_far_apart) return {};
    chosen.insert(chosen.end(), others.begin(), others.end());
    chosen.resize(enough);
    return chosen;
}

}  // namespace flow29::proto
