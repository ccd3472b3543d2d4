// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "api/call.hpp"

/// The operations of Router that move what is in files: they read and write what the caller names
/// or has opened.
namespace flow29::api {

/// Each starts the operation or ends it with an error; see the table of Router.
void publish(Call& call);
void fetch(Call& call);
void cat(Call& call);
void list(Call& call);

}  // namespace flow29::api
