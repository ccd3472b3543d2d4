// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "core/identity.hpp"
#include "proto/message.hpp"
#include "store/store.hpp"

namespace flow29::node {

/// What a node has of these items, in their order. `self` is the node's own key: what only its own
/// lease keeps may leave with it, so that is not `kept`. Reads the store: on a worker.
[[nodiscard]] std::vector<proto::Holding> holdings_of(store::Store& store,
                                                      const std::vector<proto::ItemId>& items,
                                                      const PublicKey& self, WallTime now);

}  // namespace flow29::node
