// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <stop_token>
#include <string>

#include <flow29/node.hpp>

#include "api/http_message.hpp"

namespace flow29::api {

/// Where the gateway serves what a link names: `/f/<root>[/path]`, percent-encoded.
[[nodiscard]] std::string url_of(const Link& link);

/// A directory, or one inside it, as a page of links; as the JSON of `ls` for a request that
/// accepts that and no page. Blocks until the manifest is here.
[[nodiscard]] HttpResponse answer_directory(Node& node, const HttpRequest& request,
                                            const Link& link, const std::stop_token& stop);

/// The page. Names come from strangers: everything is escaped.
[[nodiscard]] std::string directory_page(const Listing& listing);

}  // namespace flow29::api
