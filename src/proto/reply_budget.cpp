// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/reply_budget.hpp"

#include <algorithm>

#include <flow29/limits.hpp>

#include "core/assert.hpp"

namespace flow29::proto {
namespace {

std::uint64_t less(std::uint64_t from, std::uint64_t amount) {
    return from - std::min(from, amount);
}

}  // namespace

void ReplyBudget::change(const core::AddressGroup& group, ByteCount before, ByteCount now) {
    if (before == now) return;
    auto& owed = owed_to_group_[group];
    FLOW29_ASSERT(before <= owed);
    owed = owed - before + now;
    owed_ = owed_ - before + now;
    if (owed.value == 0) owed_to_group_.erase(group);
}

ByteCount ReplyBudget::room(const core::AddressGroup& group, ByteCount owed_to_peer) const {
    const auto left = less(limits::owed_bytes_max, owed_.value);
    const auto known = owed_to_group_.find(group);
    const auto to_group = known == owed_to_group_.end() ? 0 : known->second.value;
    auto room = less(left, to_group);
    if (owed_to_peer.value != 0) room = std::min(room, less(left / 4, owed_to_peer.value));
    return ByteCount(room);
}

void ReplyBudget::check_invariants() const {
    ByteCount sum;
    for (const auto& [group, owed] : owed_to_group_) {
        FLOW29_ASSERT(owed.value != 0);
        sum += owed;
    }
    FLOW29_ASSERT(sum == owed_);
}

}  // namespace flow29::proto
