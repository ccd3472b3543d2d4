// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>

namespace flow29::api {

/// src/web/index.html. `{{token}}`, `{{gateway}}` and `{{nonce}}` are to be filled in.
extern const std::string_view page_html;

}  // namespace flow29::api
