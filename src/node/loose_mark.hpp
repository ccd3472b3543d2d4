// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "node/services.hpp"

namespace flow29::node {

/// Whether extents may be in the store that no object contains: of what is being hashed here, and
/// of parts of what is being hashed elsewhere. Who awaits them is known in memory only, so a mark
/// in the store has the next start collect them.
///
/// On the executor's thread only.
class LooseMark {
  public:
    explicit LooseMark(Services services) : services_(services) {}

    /// Such extents may come from now on: durable when it returns to who was first.
    [[nodiscard]] asio::awaitable<void> set();
    [[nodiscard]] asio::awaitable<bool> is_set();
    /// What came before this run is collected: takes the mark away, unless this run has set it.
    [[nodiscard]] asio::awaitable<void> clear();

  private:
    [[nodiscard]] asio::awaitable<void> write(bool is_set);

    Services services_;
    bool set_now_ = false;  // by this run
};

}  // namespace flow29::node
