// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/node.hpp>
#include "store/store.hpp"

namespace flow29::node {

/// Bytes a second for taking in copies that are made again, as long as nothing else is said: what
/// was lost comes back over minutes, and a cut or a dead rack does not fill everybody's line at
/// once (docs/decisions/0007-repair-at-a-steady-rate.md).
inline constexpr ByteCount repair_limit_default{16ULL << 20};

/// The limits that were set last, else the defaults. On a worker, or before the start.
[[nodiscard]] RateLimits load_limits(store::Store& store);
/// What is not named stays. Errors: the store's.
[[nodiscard]] Result<void> save_limits(store::Store& store, RateLimitsChange change);

}  // namespace flow29::node
