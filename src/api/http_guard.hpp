// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "api/http_message.hpp"
#include "core/endpoint.hpp"

namespace flow29::api {

/// What every request must pass, before anything looks at what it asks for. Returns the refusal.
///
/// Rules, with what each is against:
/// - GET and HEAD only, which change nothing, or whatever is said that `may_change`; else 405.
/// - Exactly one Host, which is localhost, a loopback literal, the address that was configured, or
///   the literal address on which the connection arrived; else 403. A site that points its own
///   name at 127.0.0.1 (DNS rebinding) sends that name.
/// - Origin, when present, is `http://` and that Host, or `is_of_page`; else 403. Other sites'
///   scripts send theirs.
/// - A browser that says another site asks (Sec-Fetch-Site, Fetch Metadata) must be following a
///   link there, in a window of its own, and not ahead of time; else 403. Pictures, frames and
///   scripts are asked for without Origin, and how long they take tells what is kept here.
[[nodiscard]] std::optional<HttpResponse> refuse_foreign(const HttpRequest& request,
                                                         const core::Endpoint& configured,
                                                         bool may_change,
                                                         std::uint16_t page_port = 0);

/// Whether a page at this port asks, and by the same name as is asked for; 0: no page does.
[[nodiscard]] bool is_of_page(const HttpRequest& request, std::uint16_t page_port);

}  // namespace flow29::api
