// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/error.hpp>

namespace flow29::api {

/// The HTTP status that says the same as an error.
[[nodiscard]] constexpr int http_status_of(Errc code) noexcept {
    switch (code) {
        case Errc::ok:
            return 200;
        case Errc::usage:
        case Errc::is_directory:
            return 400;
        case Errc::refused:
            return 403;
        case Errc::not_found:
        case Errc::peer_lacks:
            return 404;
        case Errc::exists_already:
            return 409;
        case Errc::verification_failed:
        case Errc::peer_misbehaved:
        case Errc::peer_unreachable:
            return 502;
        case Errc::no_network:
        case Errc::no_node:
        case Errc::interrupted:
        case Errc::peer_busy:
            return 503;
        case Errc::timed_out:
            return 504;
        case Errc::no_space:
            return 507;
        case Errc::other:
        case Errc::file_error:
        case Errc::partly_done:
        case Errc::corrupt_store:
        case Errc::locked:
            return 500;
    }
    return 500;
}

}  // namespace flow29::api
