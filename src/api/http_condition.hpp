// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "api/http_message.hpp"

namespace flow29::api {

/// What a request makes its answer depend on: If-Match, then If-None-Match (RFC 9110 §13.2.2).
enum class Condition {
    holds,     ///< or there is none: answer as ever
    has_copy,  ///< 304: the client names the very thing, which proves that it has it
    exists,    ///< 304, if there is such a thing
    fails,     ///< 412, if there is such a thing
};

/// For a tag of what such a text stands for: 32 hexadecimal digits. The HTTP library decodes what
/// is percent-encoded in a header, so that a tag with a name in it would not come back as it went.
[[nodiscard]] std::string tag_digest(std::string_view text);

/// `tag`: of what is asked for, with its quotes; a strong one, without a comma or percent in it.
[[nodiscard]] Condition condition_of(const HttpRequest& request, std::string_view tag);

}  // namespace flow29::api
