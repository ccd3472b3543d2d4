// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "store/stored_extent.hpp"

namespace flow29::store {

/// The extents served most recently, ready to be served again without the catalogue: a 64 MiB
/// extent has 4,096 group hashes, and reading and folding them costs more than the 1 MiB asked for.
/// Bounded by what its entries take in memory. Safe from any thread; all functions are O(1).
class ExtentCache {
  public:
    explicit ExtentCache(ByteCount footprint_max) : footprint_max_(footprint_max) {}

    /// Null when it is not there.
    [[nodiscard]] std::shared_ptr<const StoredExtent> find(const ExtentHash& hash);
    void insert(std::shared_ptr<const StoredExtent> extent);
    void erase(const ExtentHash& hash);

  private:
    using Order = std::list<std::shared_ptr<const StoredExtent>>;  // most recent first
    void erase_locked(const ExtentHash& hash);

    std::mutex mutex_;
    const ByteCount footprint_max_;
    ByteCount footprint_;
    Order order_;
    std::unordered_map<ExtentHash, Order::iterator> by_hash_;
};

}  // namespace flow29::store
