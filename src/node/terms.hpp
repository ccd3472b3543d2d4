// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <vector>

#include "core/identity.hpp"
#include "proto/message.hpp"
#include "store/store.hpp"

namespace flow29::node {

/// Whether a lease says now that its object is to be kept.
[[nodiscard]] inline bool is_live(const proto::Lease& lease, WallTime now) {
    return !lease.withdrawn && lease.expires > now;
}
/// Whether a lease, or a withdrawal, from somebody else may be taken in at all: what ends too far
/// ahead would have to be remembered for as long.
[[nodiscard]] bool is_acceptable(const proto::Lease& lease, WallTime now);

/// Whether the publisher has withdrawn this lease, or replaced it by one that is over. Reads the
/// store: on a worker, as the next.
[[nodiscard]] bool is_superseded(store::Store& store, const proto::Lease& lease, WallTime now);
/// Whether this lease, or a newer one of its publisher, keeps the object here.
[[nodiscard]] bool is_in_force(store::Store& store, const proto::Lease& lease, WallTime now);

/// The live lease that asks for most copies; of equal ones the one that ends last.
[[nodiscard]] std::optional<proto::Lease> widest_live(const std::vector<proto::Lease>& leases,
                                                      WallTime now);

/// Under which lease, and how often, an item that is here is to be kept.
struct Terms {
    proto::Lease lease;
    unsigned copies = 0;  ///< wanted in all, the one here included
};
/// The terms of each of these items, of whatever object they are part; none when no live lease has
/// this node see to the item. For a lease of this node's own, the copy here counts for nothing, so
/// that one more is wanted; others' leases are its business only for what it was invited to keep.
/// Reads the store: on a worker.
[[nodiscard]] std::vector<std::optional<Terms>> terms_of(store::Store& store,
                                                         const std::vector<proto::ItemId>& items,
                                                         const core::Identity& self, WallTime now);

}  // namespace flow29::node
