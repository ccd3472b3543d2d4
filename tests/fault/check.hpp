// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "fault/arena.hpp"
#include "fault/scene.hpp"
#include "fault/script.hpp"

namespace flow29::fault {

/// Restarts what a run left behind in `places`, and blames whatever is not as it must be:
/// 1. The store opens, and has every byte that it acknowledged and did not give up since.
/// 2. Whatever else is there is whole: extents hash to their names, files at their final names are
///    right, and below extents/ and tmp/ is nothing that no row names.
/// 3. What was interrupted can be done again, and leaves nothing behind.
/// 4. What is published is readable by others, and goes when it is withdrawn.
void check(Scene& scene, const Places& places, Arena& arena);

}  // namespace flow29::fault
