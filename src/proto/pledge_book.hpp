// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <unordered_map>

#include "core/time.hpp"
#include "proto/message.hpp"

namespace flow29::proto {

/// What this node has pledged to keep, and the one item that it is about to let go, so that of the
/// nodes that have a copy too many not all let go of theirs at once.
///
///     begin ──(others are asked)──> commit ──(deleted, everybody told)──> end
///
/// Rules:
/// 1. Who lets go relies on others that pledged to keep the item, each after it was asked.
/// 2. Who pledged lets go of that item no sooner than limits::pledge_lifetime later.
/// 3. Who is asked for what it is about to let go itself refuses, unless it has not committed yet
///    and the asker ranks after it: then it pledges, and does not let go. Rationale: of two that
///    want the same one does it, and they agree on which.
/// 4. What was begun longer than half a lifetime ago is not committed to any more.
///
/// So those whom a node relied on when it let go all have the item then, and keep it until they
/// have heard of it. Pledges are forgotten in a restart, which costs no copy: who lets go
/// afterwards needs pledges of its own.
class PledgeBook {
  public:
    /// False while the item is pledged, or another one has been begun.
    [[nodiscard]] bool begin(const ItemId& item, TimePoint now);
    /// Others pledged. True when it may be let go now; otherwise the caller ends it.
    [[nodiscard]] bool commit(TimePoint now);
    void end() { going_.reset(); }

    /// Somebody asks; the caller knows that the item is kept here. `asker_yields`: it ranks before
    /// this node, so that if both want to let go, this one does.
    [[nodiscard]] bool pledge(const ItemId& item, bool asker_yields, TimePoint now);
    [[nodiscard]] bool is_pledged(const ItemId& item, TimePoint now) const;

  private:
    struct Going {
        ItemId item;
        TimePoint begun;
        bool committed = false;
        bool given_up = false;  // somebody else was promised that it stays
    };

    std::unordered_map<ItemId, TimePoint> kept_until_;
    std::optional<Going> going_;
};

}  // namespace flow29::proto
