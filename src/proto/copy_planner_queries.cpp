// SPDX-License-Identifier: GPL-3.0-or-later
// What a planner knows, for those who ask.
#include <algorithm>

#include <flow29/limits.hpp>
#include "core/assert.hpp"
#include "proto/copy_planner.hpp"

namespace flow29::proto {
namespace {
constexpr int answer_times_waited = 4;
}  // namespace

bool CopyPlanner::has_item(const ItemId& item) const {
    return items_.contains(item);
}

std::vector<NodeId> CopyPlanner::holders(const ItemId& item) const {
    const Item* entry = find(item);
    if (entry == nullptr) return {};
    std::vector<NodeId> result;
    result.reserve(entry->holders.size());
    for (const auto& [node, counts] : entry->holders)
        result.push_back(node);
    return result;
}

std::vector<NodeId> CopyPlanner::invited(const ItemId& item) const {
    std::vector<NodeId> result;
    if (const Item* entry = find(item))
        for (const auto& [node, pending] : entry->pending)
            result.push_back(node);
    return result;
}

unsigned CopyPlanner::copies(const ItemId& item) const {
    const Item* entry = find(item);
    return entry == nullptr ? 0 : count_copies(*entry);
}

unsigned CopyPlanner::target(const ItemId& item) const {
    const Item* entry = find(item);
    return entry == nullptr ? 0 : entry->target;
}

bool CopyPlanner::stuck(const ItemId& item, TimePoint now, WallTime wall_now) const {
    const Item* entry = find(item);
    if (entry == nullptr || count_copies(*entry) >= entry->target) return false;
    const bool will_be_asked = std::ranges::any_of(
        entry->refusals, [](const auto& refusal) { return refusal.second.is_busy; });
    return !will_be_asked && entry->pending.empty() && !choose(*entry, now, wall_now);
}

std::vector<ItemId> CopyPlanner::items_of(const NodeId& node) const {
    std::vector<ItemId> result;
    const auto found = by_node_.find(node);
    if (found == by_node_.end()) return result;
    for (const ItemId& item : found->second.items)
        if (items_.at(item).holders.contains(node)) result.push_back(item);
    return result;
}

std::vector<ItemId> CopyPlanner::items() const {
    std::vector<ItemId> result;
    result.reserve(items_.size());
    for (const auto& [item, entry] : items_)
        result.push_back(item);
    return result;
}

std::vector<NodeId> CopyPlanner::holding_nodes() const {
    std::vector<NodeId> result;
    for (const auto& [node, of_node] : by_node_)
        if (of_node.held > 0) result.push_back(node);
    std::ranges::sort(result);
    return result;
}

/// Rule 13: how long an invitation is waited for, if that can be said.
std::optional<Duration> CopyPlanner::answers_within() const {
    if (!options_.answer_patience || answered_ == 0 || answered_ < unanswered_.size())
        return std::nullopt;
    const auto usual = answer_time_ / static_cast<Duration::rep>(answered_);
    return std::max(*options_.answer_patience, answer_times_waited * usual);
}

CopyPlanner::Counts CopyPlanner::counts() const {
    Counts result{.items = items_.size(),
                  .under_target = under_target_,
                  .in_flight = expiries_.size(),
                  .sum_copies = sum_copies_,
                  .bytes_wanted = bytes_wanted_,
                  .bytes_made = bytes_made_};
    if (!items_by_copies_.empty()) result.min_copies = items_by_copies_.begin()->first;
    return result;
}

void CopyPlanner::check_invariants() const {
    std::size_t pending = 0;
    std::size_t unanswered = 0;
    std::size_t queued = 0;
    std::size_t held = 0;
    std::size_t sum = 0;
    ByteCount bytes;
    ByteCount wanted;
    ByteCount made;
    for (const auto& [item, entry] : items_) {
        FLOW29_ASSERT(wants_more(entry) == queue_.contains(item));
        if (wants_more(entry)) ++queued;
        FLOW29_ASSERT(!entry.holders.contains(options_.self));
        FLOW29_ASSERT(entry.target <= limits::copies_max);
        FLOW29_ASSERT(std::ranges::count_if(entry.pending,
                                            [](const auto& p) { return p.second.leads; }) <= 1);
        for (const auto& [node, invited] : entry.pending) {
            FLOW29_ASSERT(!entry.holders.contains(node));
            FLOW29_ASSERT(expiries_.contains({invited.until, item, node}));
            FLOW29_ASSERT(by_node_.at(node).items.contains(item));
            if (const auto sent = invited.unanswered_since) {
                FLOW29_ASSERT(unanswered_.contains({*sent, item, node}));
                ++unanswered;
            }
            bytes += entry.length;
        }
        unsigned counted = options_.self_is_copy ? 1 : 0;
        for (const auto& [node, counts] : entry.holders) {
            FLOW29_ASSERT(by_node_.at(node).items.contains(item));
            FLOW29_ASSERT(counts || !by_node_.at(node).all_count);
            ++held;
            if (counts) ++counted;
        }
        FLOW29_ASSERT(counted == entry.copies);
        pending += entry.pending.size();
        sum += entry.copies;
        wanted.value += entry.length.value * entry.target;
        made.value += entry.length.value * std::min(entry.copies, entry.target);
    }
    for (const auto& [node, of_node] : by_node_)
        held -= of_node.held;
    FLOW29_ASSERT(held == 0);
    FLOW29_ASSERT(pending == expiries_.size());
    FLOW29_ASSERT(unanswered == unanswered_.size());
    FLOW29_ASSERT(queued == queue_.size());
    queue_.check_invariants();
    FLOW29_ASSERT(sum == sum_copies_);
    FLOW29_ASSERT(wanted == bytes_wanted_);
    FLOW29_ASSERT(made == bytes_made_);
    FLOW29_ASSERT(bytes == bytes_in_flight_);
    for (const auto& [item, node] : leads_)
        FLOW29_ASSERT(items_.contains(item) && node != options_.self);
}

}  // namespace flow29::proto
