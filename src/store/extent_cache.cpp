// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/extent_cache.hpp"

namespace flow29::store {

std::shared_ptr<const StoredExtent> ExtentCache::find(const ExtentHash& hash) {
    const std::lock_guard lock(mutex_);
    const auto found = by_hash_.find(hash);
    if (found == by_hash_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return order_.front();
}

void ExtentCache::insert(std::shared_ptr<const StoredExtent> extent) {
    const std::lock_guard lock(mutex_);
    const ExtentHash hash = extent->hash;
    erase_locked(hash);
    footprint_ += extent->footprint();
    order_.push_front(std::move(extent));
    by_hash_.emplace(hash, order_.begin());
    while (footprint_ > footprint_max_) {
        const ExtentHash oldest = order_.back()->hash;
        erase_locked(oldest);
    }
}

void ExtentCache::erase(const ExtentHash& hash) {
    const std::lock_guard lock(mutex_);
    erase_locked(hash);
}

void ExtentCache::erase_locked(const ExtentHash& hash) {
    const auto found = by_hash_.find(hash);
    if (found == by_hash_.end()) return;
    footprint_ -= (*found->second)->footprint();
    order_.erase(found->second);
    by_hash_.erase(found);
}

}  // namespace flow29::store
