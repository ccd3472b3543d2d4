// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include <flow29/error.hpp>

#include "api/http_message.hpp"

namespace flow29::api {

/// One of the router's last lines, with the status that says the same.
[[nodiscard]] HttpResponse json_response(std::string line);
[[nodiscard]] HttpResponse json_error(const Error& error);
[[nodiscard]] HttpResponse json_error(int status, const Error& error);

}  // namespace flow29::api
