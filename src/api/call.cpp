// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/call.hpp"

#include <nlohmann/json.hpp>

namespace flow29::api {

ProgressFn progress_to(const EmitFn& emit) {
    return [emit](const Progress& progress) { emit(to_line(progress_event(progress)), false); };
}

}  // namespace flow29::api
