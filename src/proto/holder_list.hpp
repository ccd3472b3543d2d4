// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <flow29/ids.hpp>

namespace flow29::proto {

/// The nodes known to hold an item, and of each whether it counts; sorted by node. A few dozen at
/// most, and millions of such lists: one piece of memory instead of one for each node.
class HolderList {
  public:
    using Entry = std::pair<NodeId, bool>;
    using iterator = std::vector<Entry>::iterator;
    using const_iterator = std::vector<Entry>::const_iterator;

    [[nodiscard]] iterator begin() { return entries_.begin(); }
    [[nodiscard]] iterator end() { return entries_.end(); }
    [[nodiscard]] const_iterator begin() const { return entries_.begin(); }
    [[nodiscard]] const_iterator end() const { return entries_.end(); }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    [[nodiscard]] bool empty() const { return entries_.empty(); }

    /// `end()` when it is not there. O(log nodes), as `contains`.
    [[nodiscard]] iterator find(const NodeId& node) {
        const auto place = std::ranges::lower_bound(entries_, node, {}, &Entry::first);
        return place != end() && place->first == node ? place : end();
    }
    [[nodiscard]] bool contains(const NodeId& node) const {
        return std::ranges::binary_search(entries_, node, {}, &Entry::first);
    }
    /// Requires that it is not there. O(nodes), as `erase`.
    void insert(const NodeId& node, bool counts) {
        const auto place = std::ranges::lower_bound(entries_, node, {}, &Entry::first);
        entries_.insert(place, {node, counts});
    }
    void erase(iterator entry) { entries_.erase(entry); }

  private:
    std::vector<Entry> entries_;
};

}  // namespace flow29::proto
