// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include <flow29/node.hpp>

namespace flow29::api {

/// What a node says of itself, as Prometheus text (version 0.0.4). The number of lines does not
/// grow with peers or objects.
[[nodiscard]] std::string metrics_text(const Status& status, const std::vector<PeerInfo>& peers,
                                       const std::vector<ObjectEntry>& objects);

}  // namespace flow29::api
