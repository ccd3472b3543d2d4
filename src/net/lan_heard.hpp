// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <deque>
#include <set>

#include "core/endpoint.hpp"
#include "core/lan_call.hpp"

namespace flow29::net {

/// Who was heard on the LAN. Sans-IO.
///
/// Rules:
/// 1. The last limits::lan_calls_max calls of this node's own are known again, wherever they come
///    from. Rationale: multicast brings them back, and others may send them on.
/// 2. At most limits::lan_nodes_max addresses are remembered, and then forgotten together.
///    Rationale: only members can make calls, but who hears one can send it on from many addresses.
class LanHeard {
  public:
    /// This node calls.
    void on_called(const core::LanNonce& nonce);
    /// A call came; true when it is somebody else's, and not heard from this address before.
    [[nodiscard]] bool on_heard(const core::LanNonce& nonce, const core::Endpoint& node);

    [[nodiscard]] std::size_t remembered() const { return nodes_.size(); }

  private:
    std::deque<core::LanNonce> called_;
    std::set<core::Endpoint> nodes_;
};

}  // namespace flow29::net
