// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "proto/node_table.hpp"
#include "sim/scale/live_ring.hpp"
#include "sim/scale/random.hpp"

namespace flow29::sim::scale {

/// A model of Sybils near a key: an attacker who knows an extent's key makes identities until many
/// lie nearer to it than any honest node, has them keep what they are given, and then denies it.
///
/// Of the product: the node table of everybody who decides something (candidates, placement, what
/// GetClosest is answered with), and which keys are looked up beside one that is crowded. Modelled:
/// look-ups list the 14 nodes that are nearest, an honest node knows those around itself, some
/// others, and all Sybils near the key, and all connections can be made. Sybils name Sybils only,
/// claim the largest capacity and a long life, and are chosen for their place in the ranking, too.
/// Records in the DHT are taken to be lost: those who would store them are Sybils. Nobody comes or
/// goes.
class SybilModel {
  public:
    struct Options {
        std::uint32_t nodes = 10'000;  ///< honest ones, each in an address group of its own
        std::uint32_t identities_tried = 1U << 22;  ///< by the attacker, once for all keys
        std::uint32_t keys = 200;
        std::uint32_t lookups = 5;  ///< for each key, by a reader of its own
        unsigned copies = 4;
        std::uint64_t seed = 1;
    };
    /// What an attack came to.
    struct Outcome {
        std::uint64_t lookups = 0;
        std::uint64_t denied = 0;    ///< look-ups that met no honest node with a copy
        std::uint64_t counted = 0;   ///< copies that the publisher counted
        std::uint64_t captured = 0;  ///< those of them that Sybils have
        std::uint64_t asides = 0;    ///< look-ups in the DHT beside the keys, by all

        [[nodiscard]] double denied_share() const { return share(denied, lookups); }
        [[nodiscard]] double captured_share() const { return share(captured, counted); }

      private:
        [[nodiscard]] static double share(std::uint64_t part, std::uint64_t whole) {
            return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
        }
    };

    explicit SybilModel(const Options& options);

    /// Attacks each key with so many identities in so many address groups. The same keys, readers
    /// and publishers each time.
    [[nodiscard]] Outcome attack(std::uint32_t identities, std::uint32_t groups);

  private:
    using Number = std::uint32_t;
    struct Tried {
        std::uint64_t place;
        std::uint64_t seed;  // of its key
    };
    struct Attack {
        DhtKey key;
        std::vector<Number> sybils;                // nodes_ from the honest ones on
        LiveRing ring;                             // of all
        std::map<Number, proto::NodeTable> asked;  // of honest nodes, made when needed
    };

    [[nodiscard]] Attack prepare(std::uint32_t identities, std::uint32_t groups);
    [[nodiscard]] proto::NodeTable table_of(Number self, const Attack& attack);
    void meet(proto::NodeTable& table, Number self, Number other);
    void look_up(proto::NodeTable& table, Number self, Attack& attack, Outcome& outcome);
    [[nodiscard]] std::vector<NodeId> closest_according_to(Number node, Attack& attack);

    Options options_;
    Random random_;
    LiveRing honest_;
    std::vector<proto::NodeRecord> records_;
    std::vector<NodeId> ids_;
    std::map<NodeId, Number> numbers_;
    std::vector<Tried> tried_;  // by place
};

}  // namespace flow29::sim::scale
