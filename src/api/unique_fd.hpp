// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/unique_fd.hpp"

namespace flow29::api {

using core::UniqueFd;

}  // namespace flow29::api
