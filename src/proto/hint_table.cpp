// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/hint_table.hpp"

#include <algorithm>

#include "core/assert.hpp"

namespace flow29::proto {

void HintTable::on_hint(const NodeId& node, const std::vector<ItemId>& items, TimePoint now) {
    auto& given = by_node_[node];
    const TimePoint until = now + Duration(limits::hint_lifetime);
    for (const ItemId& item : items) {
        const bool is_new = !given.contains(item);
        if (is_new && (count_ >= limits::hints_max || given.size() >= limits::hints_per_node_max))
            continue;
        by_item_[item][node] = until;
        if (!is_new) continue;
        given.insert(item);
        ++count_;
    }
    if (given.empty()) by_node_.erase(node);
}

void HintTable::forget_node(const NodeId& node) {
    const auto given = by_node_.extract(node);
    if (given.empty()) return;
    for (const ItemId& item : given.mapped()) {
        const auto entry = by_item_.find(item);
        entry->second.erase(node);
        if (entry->second.empty()) by_item_.erase(entry);
        --count_;
    }
}

void HintTable::expire(TimePoint now) {
    for (auto entry = by_item_.begin(); entry != by_item_.end();) {
        auto& [item, given] = *entry;
        for (auto hint = given.begin(); hint != given.end();) {
            if (hint->second > now) {
                ++hint;
                continue;
            }
            const auto theirs = by_node_.find(hint->first);
            theirs->second.erase(item);
            if (theirs->second.empty()) by_node_.erase(theirs);
            hint = given.erase(hint);
            --count_;
        }
        entry = given.empty() ? by_item_.erase(entry) : std::next(entry);
    }
}

std::vector<NodeId> HintTable::holders(const ItemId& item, TimePoint now) const {
    std::vector<NodeId> nodes;
    const auto entry = by_item_.find(item);
    if (entry == by_item_.end()) return nodes;
    for (const auto& [node, until] : entry->second)
        if (until > now) nodes.push_back(node);
    std::ranges::sort(nodes);
    return nodes;
}

void HintTable::check_invariants() const {
    std::size_t count = 0;
    for (const auto& [item, given] : by_item_) {
        FLOW29_ASSERT(!given.empty());
        count += given.size();
        for (const auto& [node, until] : given)
            FLOW29_ASSERT(by_node_.at(node).contains(item));
    }
    std::size_t by_node = 0;
    for (const auto& [node, items] : by_node_) {
        FLOW29_ASSERT(!items.empty());
        FLOW29_ASSERT(items.size() <= limits::hints_per_node_max);
        by_node += items.size();
    }
    FLOW29_ASSERT(count == count_ && by_node == count_);
    FLOW29_ASSERT(count_ <= limits::hints_max);
}

}  // namespace flow29::proto
