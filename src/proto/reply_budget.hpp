// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>

#include <flow29/ids.hpp>
#include "core/endpoint.hpp"

namespace flow29::proto {

/// What of limits::owed_bytes_max, which all peers share, is owed to whom: replies in the making,
/// and all that waits to be sent. Sans-IO.
///
/// Rules, for a peer for which a reply is to be begun:
/// 1. All replies together stay within the limit. Rationale: peers that ask and do not read must
///    not fill memory, however many they are.
/// 2. To the peers of one address group no more is owed than is left for others. Rationale: the
///    limit alone would have whoever reaches it keep everybody else from being served.
/// 3. To one peer to which something is owed already, no more than a quarter of what is left.
///
/// What is no reply counts as well, but is sent whatever is owed.
class ReplyBudget {
  public:
    /// To a peer of this group `before` was owed, and `now` is.
    void change(const core::AddressGroup& group, ByteCount before, ByteCount now);

    /// What a reply may weigh that is begun for a peer of this group. O(log groups).
    [[nodiscard]] ByteCount room(const core::AddressGroup& group, ByteCount owed_to_peer) const;
    [[nodiscard]] ByteCount owed() const { return owed_; }

    void check_invariants() const;

  private:
    ByteCount owed_;
    std::map<core::AddressGroup, ByteCount> owed_to_group_;  // none of nothing
};

}  // namespace flow29::proto
