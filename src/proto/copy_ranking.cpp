// SPDX-License-Identifier: GPL-3.0-or-later
// Who acts for an item, who is asked to hold it, who leads, and who may let it go.
#include <algorithm>
#include <functional>
#include <utility>

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
        const auto refusal = entry.refusals.find(candidate.id);
        return candidate.id != options_.self && !entry.holders.contains(candidate.id) &&
               !entry.pending.contains(candidate.id) &&
               (refusal == entry.refusals.end() || refusal->second.until <= now ||
                table_.got_room_since(candidate.id, refusal->second.at));
    };
    auto candidates = table_.candidates(entry.key, now, wall_now);
    std::erase_if(candidates, std::not_fn(may_ask));
    if (candidates.empty()) return std::nullopt;
    const auto used = groups_used(entry);
    const auto after_others = [&](const core::Candidate& candidate) {
        return std::pair(table_.is_silent(candidate.id, now),
                         std::ranges::count(used, candidate.group));
    };
    return std::ranges::min_element(candidates, {}, after_others)->id;
}

CopyPlanner::Invitation CopyPlanner::invite(const ItemId& item, Item& entry, const NodeId& node,
                                            TimePoint now, WallTime wall_now) {
    const bool may_lead = lacks_lead(entry);
    add_pending(item, entry, node, {.until = now + options_.patience, .unanswered_since = now});
    const auto is_last = [&] { return !wants_more(entry) || !choose(entry, now, wall_now); };
    const bool leads = may_lead && (table_.may_lead(node, now) || is_last());
    if (leads) {
        entry.pending.at(node).leads = true;
        leads_.insert_or_assign(item, node);
    }
    refresh(item, entry);
    return {
        .item = item, .root = entry.root, .length = entry.length, .target = node, .leads = leads};
}

/// Rule 11.
bool CopyPlanner::lacks_lead(const Item& entry) const {
    const bool is_held = std::ranges::any_of(entry.holders, &HolderList::Entry::second);
    return !is_held &&
           std::ranges::none_of(entry.pending, [](const auto& p) { return p.second.leads; });
}

/// Rule 12.
std::optional<NodeId> CopyPlanner::on_pulled(const ItemId& item, const NodeId& node,
                                             TimePoint now) {
    latest_ = std::max(latest_, now);
    Item* entry = find(item);
    const auto known = leads_.find(item);
    if (entry == nullptr || known == leads_.end() || known->second == node) return std::nullopt;
    const auto follower = entry->pending.find(node);
    if (follower == entry->pending.end() || follower->second.leads) return std::nullopt;
    // Who began before is only going on.
    if (std::exchange(follower->second.pulls, true)) return std::nullopt;
    const NodeId& lead = known->second;
    // Most have it from there, so it is this one that they give nothing.
    const bool is_served = entry->holders.contains(lead) && table_.may_lead(lead, now) &&
                           entry->holders.size() > entry->pending.size();
    if (is_served) {
        silent_.insert(node);
        return std::nullopt;
    }
    const auto pending = entry->pending.find(lead);
    const bool is_silent =
        pending != entry->pending.end() &&
        now >= pending->second.until - options_.patience + options_.lead_patience;
    if (!is_silent && !entry->holders.contains(lead)) return std::nullopt;
    return lead;
}

/// The address groups of all copies, those on the way included; a group once for each.
std::vector<core::AddressGroup> CopyPlanner::groups_used(const Item& entry) const {
    std::vector<core::AddressGroup> groups;
    const auto add = [&](const NodeId& node) {
        const auto group = table_.group_of(node);
        if (group && is_counted(node)) groups.push_back(*group);
    };
    for (const auto& [node, counts] : entry.holders)
        add(node);
    for (const auto& [node, until] : entry.pending)
        add(node);
    if (options_.self_is_copy && !entry.bystander)
        if (const auto own = table_.group_of(options_.self)) groups.push_back(*own);
    return groups;
}

std::vector<NodeId> CopyPlanner::others_to_rely_on(const ItemId& item) const {
    const Item* entry = find(item);
    if (entry == nullptr || !options_.self_is_copy || entry->bystander) return {};
    std::vector<std::pair<core::Sha256Digest, NodeId>> ranked;
    for (const auto& [node, counts] : entry->holders)
        if (table_.is_alive(node)) ranked.emplace_back(rank_of(entry->key, node), node);
    std::ranges::sort(ranked);
    std::vector<NodeId> apart, others;
    std::set<core::AddressGroup> taken;
    for (const auto& [rank, node] : ranked) {
        const auto group = table_.group_of(node);
        (group && taken.insert(*group).second ? apart : others).push_back(node);
    }
    apart.insert(apart.end(), others.begin(), others.end());
    if (!are_enough(item, apart)) return {};
    return apart;
}

bool CopyPlanner::are_enough(const ItemId& item, const std::vector<NodeId>& nodes) const {
    const Item* entry = find(item);
    if (entry == nullptr) return false;
    const std::size_t wanted = goal(*entry);
    std::set<core::AddressGroup> theirs, all;
    std::size_t live = 0;
    for (const auto& [node, counts] : entry->holders) {
        if (!table_.is_alive(node)) continue;
        const bool is_one = std::ranges::find(nodes, node) != nodes.end();
        if (is_one) ++live;
        const auto group = table_.group_of(node);
        if (group && is_one) theirs.insert(*group);
        if (group) all.insert(*group);
    }
    if (const auto own = table_.group_of(options_.self)) all.insert(*own);
    return live == nodes.size() && live >= wanted && theirs.size() >= std::min(wanted, all.size());
}

bool CopyPlanner::ranks_before_us(const ItemId& item, const NodeId& node) const {
    const auto key = item.key(options_.keys);
    return rank_of(key, node) < rank_of(key, options_.self);
}

}  // namespace flow29::proto
