// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <flow29/limits.hpp>
#include "core/time.hpp"
#include "proto/message.hpp"

namespace flow29::proto {

/// What holders told this node because it is near: who keeps an item. So a node that joins next to
/// a key can say where the data are without having them, and growth moves no bytes.
///
/// Rules:
/// 1. A node speaks for itself alone, over its authenticated connection.
///    Rationale: nobody can send readers to somebody else.
/// 2. Each hint lives for limits::hint_lifetime after it was last given.
/// 3. At most limits::hints_max are remembered, and limits::hints_per_node_max of one node; what
///    comes beyond is left out.
///    Rationale: they are a convenience, so a stranger's flood must not push out what is there.
/// O(1) an item.
class HintTable {
  public:
    void on_hint(const NodeId& node, const std::vector<ItemId>& items, TimePoint now);
    /// The node is gone, or was told to be wrong: all it said is forgotten.
    void forget_node(const NodeId& node);
    /// Drops what is too old. O(hints), so now and then.
    void expire(TimePoint now);

    /// Who said that it keeps the item.
    [[nodiscard]] std::vector<NodeId> holders(const ItemId& item, TimePoint now) const;
    [[nodiscard]] std::size_t size() const { return count_; }

    void check_invariants() const;

  private:
    using Given = std::unordered_map<NodeId, TimePoint>;  // forgotten at

    std::unordered_map<ItemId, Given> by_item_;
    std::unordered_map<NodeId, std::unordered_set<ItemId>> by_node_;
    std::size_t count_ = 0;
};

}  // namespace flow29::proto
