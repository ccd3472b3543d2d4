// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "core/identity.hpp"
#include "proto/message.hpp"
#include "store/store.hpp"

namespace flow29::node {

/// What this node has of these items, in their order. `kept` is what it was invited to keep (see
/// mark_kept), lies in the store itself, and is under a lease of somebody else: what only its own
/// lease keeps may leave with it, and a user may delete a file that he fetched. Reads the store: on
/// a worker.
[[nodiscard]] std::vector<proto::Holding> holdings_of(store::Store& store,
                                                      const std::vector<proto::ItemId>& items,
                                                      const core::Identity& self, WallTime now);

/// Notes durably that these items, and the object's descriptor, are kept here. On a worker.
[[nodiscard]] Result<void> mark_kept(store::Store& store, const RootHash& root,
                                     const std::vector<proto::ItemId>& items, const NodeId& self);

}  // namespace flow29::node
