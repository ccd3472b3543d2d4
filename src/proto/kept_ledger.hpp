// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <deque>
#include <unordered_set>
#include <vector>

#include <flow29/limits.hpp>
#include "proto/message.hpp"

namespace flow29::proto {

/// What this node keeps, in the form in which others ask for it: so that two nodes that meet again
/// need one message to know that nothing changed, however much they keep.
///
/// Rules:
/// 1. The state is the exclusive or of SHA-256(item) over all items.
///    Rationale: it is the same after a restart, in any order, and costs O(1) a change. Who forges
///    it only lies about itself, which audits are for.
/// 2. Who knows one of the last `changes_max` states is told what changed since, others get a list
///    of short names.
/// 3. A short name is the first 8 octets of SHA-256(salt ‖ item), with a new salt for every list.
///    Rationale: a quarter of the octets, and nobody can make two items that look like one.
class KeptLedger {
  public:
    using Salt = std::array<std::uint8_t, 16>;

    explicit KeptLedger(std::size_t changes_max = limits::kept_changes_max)
        : changes_max_(changes_max) {}

    /// Repeated calls change nothing. O(1).
    void add(const ItemId& item);
    void remove(const ItemId& item);
    [[nodiscard]] bool contains(const ItemId& item) const { return items_.contains(item); }
    [[nodiscard]] std::size_t size() const { return items_.size(); }
    [[nodiscard]] const KeptState& state() const { return state_; }

    /// The answer to GetKept. When it says `listed`, the body is short_names of `items_of_part`.
    /// O(changes).
    [[nodiscard]] KeptList answer(const GetKept& ask, const Salt& salt) const;
    /// In no particular order. O(items).
    [[nodiscard]] std::vector<ItemId> items_of_part(std::uint32_t part, std::uint32_t parts) const;

    [[nodiscard]] static Bytes short_names(const Salt& salt, const std::vector<ItemId>& items);
    /// Which of `items` are in the list, in their order; only those of this part can be.
    /// peer_misbehaved when the list is no whole number of names.
    [[nodiscard]] static Result<std::vector<bool>> find_in(ByteView list, const Salt& salt,
                                                           const std::vector<ItemId>& items);
    [[nodiscard]] static std::uint32_t part_of(const ItemId& item, std::uint32_t parts) {
        return item.hash.back() % parts;
    }

    void check_invariants() const;

  private:
    struct Change {
        KeptState before;
        ItemId item;
    };

    void toggle(const ItemId& item);

    std::size_t changes_max_;
    std::unordered_set<ItemId> items_;
    KeptState state_;
    std::deque<Change> changes_;  // the last ones, oldest first
};

}  // namespace flow29::proto
