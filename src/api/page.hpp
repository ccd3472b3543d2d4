// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>

namespace flow29::api {

/// What is in src/web/dist. In index.html, `{{token}}` and `{{gateway}}` are to be filled in.
extern const std::string_view page_html;
extern const std::string_view page_script;
extern const std::string_view page_style;

}  // namespace flow29::api
