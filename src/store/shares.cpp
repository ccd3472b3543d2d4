// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/shares.hpp"

#include <flow29/limits.hpp>

#include <algorithm>

namespace flow29::store {

std::optional<ByteCount> Shares::find(const Party& party, WallTime now) const {
    const auto found = shares_.find(party);
    if (found == shares_.end()) return std::nullopt;
    const Share& share = found->second;
    if (now < share.as_of || now >= share.valid_until) return std::nullopt;
    return share.used;
}

void Shares::put(const Party& party, const Share& share) {
    if (shares_.size() >= limits::shares_max && !shares_.contains(party)) shares_.clear();
    shares_[party] = share;
}

Shares::Share* Shares::counting(const Party& party, WallTime expires) {
    const auto found = shares_.find(party);
    if (found == shares_.end() || expires <= found->second.as_of) return nullptr;
    return &found->second;
}

void Shares::add(const Party& party, ByteCount cost, WallTime expires) {
    if (Share* share = counting(party, expires)) share->used += cost;
}

void Shares::subtract(const Party& party, ByteCount cost, WallTime expires) {
    if (Share* share = counting(party, expires)) share->used -= std::min(cost, share->used);
}

void Shares::on_lease(const Party& party, WallTime expires) {
    if (Share* share = counting(party, expires))
        share->valid_until = std::min(share->valid_until, expires);
}

}  // namespace flow29::store
