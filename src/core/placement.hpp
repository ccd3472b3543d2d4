// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include <flow29/ids.hpp>
#include "core/endpoint.hpp"

namespace flow29::core {

/// A confirmed storing node that could hold an extent.
struct Candidate {
    NodeId id;
    AddressGroup group;
    std::uint8_t capacity_class = 0;  ///< capacity_class_of; signed by the node
    bool young = false;               ///< below the uptime threshold

    bool operator==(const Candidate&) const = default;
};

/// floor(log2(capacity / 1 GiB)) + 1, and 0 below 1 GiB; at most 20. Quantised so that every node
/// computes the same placement from records of slightly different age.
[[nodiscard]] std::uint8_t capacity_class_of(ByteCount capacity);

/// Whether addresses of the group cost something to have: those that the whole network shares, and
/// no address at all, which anybody can have. What is loopback or for private use costs nothing,
/// and whoever has one is inside already.
[[nodiscard]] bool is_scarce(const AddressGroup& group);

/// Who should hold what lives at `key`, best first: every candidate once, the first `copies` being
/// the targets.
///
/// Rules:
/// 1. Rendezvous hashing (Thaler and Ravishankar 1998): a number from the hash of key and node, in
///    (0, 1), over the node's weight (but see 4); lowest first. Weight is 2^class, capped at 8
///    times the median. Rationale: capacity decides how much a node gets, and a node that comes or
///    goes changes only its own share. Number over weight is sequential Poisson sampling (Ohlsson
///    1990): a node is among the first few with a probability in proportion to its weight. The
///    usual -log(number) over weight makes that so of the first one alone; of four it gives small
///    nodes too much.
/// 2. A candidate whose address group was already used comes after all whose group was not; a young
///    candidate comes after the old ones of equal group use.
///    Rationale: four copies in one rack are one copy, but in a swarm of one rack they are still
///    better than none, so this demotes and never excludes.
/// 3. The answer depends on the candidates as a set, not on their order.
/// 4. Between scarce groups (is_scarce) it is the hash of key and group that decides, and that of
///    key and node only within a group; and weight is capped at twice the median.
///    Rationale: anybody can make identities until one comes first at a key, and claim any
///    capacity; addresses cannot be made. So who has few groups gets first places by chance.
/// O(n log n + n * groups).
[[nodiscard]] std::vector<Candidate> rank_candidates(const DhtKey& key,
                                                     std::vector<Candidate> candidates);

}  // namespace flow29::core
