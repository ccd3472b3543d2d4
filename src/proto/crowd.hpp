// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <flow29/ids.hpp>

namespace flow29::proto {

/// Which keys to look up beside one at which far more nodes were found than a swarm of this size
/// has there. Sans-IO.
///
/// Rules:
/// 1. How many there should be follows from how near the nodes around this one are to it, of which
///    `density_from` must be known. Rationale: ids are hashes, so honest ones lie equally dense
///    everywhere; of a small swarm all are known, and nobody can be hidden.
/// 2. A key is crowded when the nodes that were found lie `crowded_times` as dense. Rationale: of
///    the 14 that a look-up lists, chance makes that of one key in many millions.
/// 3. The keys beside are spread evenly over a part of the key space around it in which some
///    `beside_nodes` honest nodes are to be expected; within that, `salt` decides where.
///    Rationale: who crowds one key with identities can be nearest there, and not everywhere
///    around it where nobody knows in advance.
class Crowd {
  public:
    static constexpr std::size_t density_from = 8;
    static constexpr std::size_t found_min = 8;
    static constexpr double crowded_times = 8;
    static constexpr double beside_nodes = 40;
    static constexpr unsigned beside_bits = 3;  ///< two to the power of it keys

    /// `self` is this node's position, `around` those of the nodes nearest to it that it knows.
    Crowd(const DhtKey& self, std::span<const DhtKey> around);

    /// The keys beside; none if `found`, what a look-up of `key` listed, is no crowd. O(found).
    [[nodiscard]] std::vector<DhtKey> keys_beside(const DhtKey& key, std::span<const DhtKey> found,
                                                  const DhtKey& salt) const;
    /// How many nodes the swarm seems to have; 0: that cannot be told.
    [[nodiscard]] double swarm_size() const { return size_; }

  private:
    double size_ = 0;
};

}  // namespace flow29::proto
