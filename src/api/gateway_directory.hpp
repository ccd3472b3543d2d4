// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <stop_token>
#include <string>

#include <flow29/node.hpp>

#include "api/http_message.hpp"

namespace flow29::api {

/// Where the gateway serves what a link names: `/f/<root>[/path]`, percent-encoded.
[[nodiscard]] std::string url_of(const Link& link);

/// The longest name that a file can have on any system.
inline constexpr std::size_t name_bytes_max = 255;

/// What `?name=` says; empty: nothing. It comes from whoever made the address.
[[nodiscard]] std::string name_in(const HttpRequest& request);

/// Of a directory, with a slash at its end. It hands on what its root is called, unless that is
/// empty or longer than a name.
[[nodiscard]] std::string directory_url(const Link& link, const std::string& name);

/// A directory, or one inside it, as a page of links; as the JSON of `ls` for a request that
/// accepts that and no page. The entity tag is that of the bytes sent. Blocks until the manifest is
/// here. What is a file is 404, wherever it lies.
[[nodiscard]] HttpResponse answer_directory(Node& node, const HttpRequest& request,
                                            const Link& link, const std::stop_token& stop);

/// The page. Names come from strangers: everything is escaped. `name`: of the root, empty when no
/// link said one.
[[nodiscard]] std::string directory_page(const Listing& listing, const std::string& name);

}  // namespace flow29::api
