// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/pledge_book.hpp"

#include <flow29/limits.hpp>

#include "core/assert.hpp"

namespace flow29::proto {

bool PledgeBook::begin(const ItemId& item, TimePoint now) {
    if (going_ || is_pledged(item, now)) return false;
    going_ = Going{.item = item, .begun = now};
    return true;
}

bool PledgeBook::commit(TimePoint now) {
    FLOW29_ASSERT(going_.has_value());
    if (going_->given_up || now - going_->begun > limits::pledge_lifetime / 2) return false;
    going_->committed = true;
    return true;
}

bool PledgeBook::pledge(const ItemId& item, bool asker_yields, TimePoint now) {
    if (going_ && going_->item == item) {
        if (going_->committed || asker_yields) return false;
        going_->given_up = true;
    }
    if (kept_until_.size() >= limits::pledges_max)
        std::erase_if(kept_until_, [now](const auto& kept) { return kept.second <= now; });
    if (kept_until_.size() >= limits::pledges_max && !kept_until_.contains(item)) return false;
    kept_until_[item] = now + limits::pledge_lifetime;
    return true;
}

bool PledgeBook::is_pledged(const ItemId& item, TimePoint now) const {
    const auto found = kept_until_.find(item);
    return found != kept_until_.end() && found->second > now;
}

}  // namespace flow29::proto
