// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <optional>
#include <random>

#include "core/time.hpp"
#include "proto/copy_planner.hpp"

namespace flow29::proto {

/// Decides which copy is checked next, by having its holder prove one random chunk of it.
///
/// Rules:
/// 1. Every node that is alive and believed to keep something is asked `probes_per_period` times in
///    a `period`, for an item drawn anew each time from all that it is believed to keep.
///    Rationale: who lacks a fraction f of what it acknowledged passes a period with probability
///    (1 - f)^probes: 1 % for a tenth and 44 probes. The cost grows with neighbours, not with
///    items.
/// 2. Probes of one node are spread evenly over the period, those of different nodes begin at
///    random, so that no two nodes are audited at the same moments.
/// 3. A node that is silent `silent_max` times in a row has failed.
///    Rationale: once may be a lost connection; a copy that never answers is none.
///
/// O(nodes + items of the node asked) for a probe.
class AuditPlanner {
  public:
    struct Options {
        Duration period = std::chrono::hours(1);
        unsigned probes_per_period = 44;
        unsigned silent_max = 5;
        std::uint64_t seed = 0;
    };
    struct Probe {
        NodeId node;
        ItemId item;
        std::uint64_t random = 0;  ///< picks the chunk
    };
    enum class Outcome : std::uint8_t {
        passed,
        failed,  ///< it lacks it, or its proof was wrong
        silent,  ///< connected, and no answer in time
        none,    ///< the connection ended: that says nothing
    };
    struct Counts {
        std::uint64_t passed = 0;
        std::uint64_t failed = 0;
        std::uint64_t silent = 0;
    };

    /// Requires `table` and `copies` to outlive the planner.
    AuditPlanner(const NodeTable& table, const CopyPlanner& copies, Options options)
        : table_(table), copies_(copies), options_(options), random_(options.seed) {}

    /// The next probe to send now, if any; it counts as sent.
    [[nodiscard]] std::optional<Probe> poll(TimePoint now);
    /// What came of a probe. True when the node must be taken to lack what it was asked for.
    [[nodiscard]] bool on_outcome(const Probe& probe, Outcome outcome);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    [[nodiscard]] const Counts& counts() const { return counts_; }

    /// The probability that a node that lacks `fraction` (0 to 1) of what it acknowledged fails at
    /// least one of `probes` probes.
    [[nodiscard]] static double detection(double fraction, unsigned probes);

  private:
    struct Node {
        TimePoint next;
        unsigned silent = 0;
    };

    [[nodiscard]] Duration interval() const { return options_.period / options_.probes_per_period; }
    void note_nodes(TimePoint now);

    const NodeTable& table_;     // owned by the node
    const CopyPlanner& copies_;  // owned by the node
    Options options_;
    std::mt19937_64 random_;
    std::map<NodeId, Node> nodes_;
    Counts counts_;
};

}  // namespace flow29::proto
