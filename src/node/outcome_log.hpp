// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <flow29/node.hpp>

namespace flow29::node {

/// `done`, after a line in the log that says how it ended.
[[nodiscard]] DoneFn<PublishResult> logged(DoneFn<PublishResult> done);
[[nodiscard]] DoneFn<FetchResult> logged(const RootHash& root, DoneFn<FetchResult> done);

}  // namespace flow29::node
