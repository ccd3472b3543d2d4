// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

namespace flow29::sim::scale {

/// The nodes that are up, by their place in the DHT: what a lookup finds. Places are the first 64
/// bits of a key; that two nodes share them all does not happen.
class LiveRing {
  public:
    void insert(std::uint64_t place, std::uint32_t node);
    void erase(std::uint64_t place);
    [[nodiscard]] std::size_t size() const { return nodes_.size(); }

    /// The `count` nodes nearest to `place` by XOR distance, nearest first; fewer when there are
    /// fewer. O(log n + the smallest subtree around `place` that has `count` nodes).
    [[nodiscard]] std::vector<std::uint32_t> nearest(std::uint64_t place, std::size_t count) const;

  private:
    struct Member {
        std::uint64_t place;
        std::uint32_t node;
    };
    std::vector<Member> nodes_;  // by place
};

}  // namespace flow29::sim::scale
