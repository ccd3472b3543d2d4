// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <utility>

#include <flow29/node.hpp>
#include "node/descriptor_search.hpp"

namespace flow29::node {

/// Tells `progress`, if there is one, what is being done and by how many.
inline void report_stage(const ProgressFn& progress, Stage stage, std::size_t holders) {
    if (!progress) return;
    Progress now;
    now.stage = stage;
    now.holders = holders;
    progress(now);
}

/// The stages of a search as progress of what it is a part of.
[[nodiscard]] inline StageFn stage_reporter(ProgressFn progress) {
    return [progress = std::move(progress)](Stage stage, std::size_t holders) {
        report_stage(progress, stage, holders);
    };
}

}  // namespace flow29::node
