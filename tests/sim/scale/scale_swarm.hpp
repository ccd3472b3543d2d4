// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include <flow29/limits.hpp>
#include "core/time.hpp"
#include "sim/scale/event_queue.hpp"
#include "sim/scale/live_ring.hpp"
#include "sim/scale/metrics.hpp"
#include "sim/scale/mind.hpp"
#include "sim/scale/sessions.hpp"
#include "sim/scale/sorted.hpp"

namespace flow29::sim::scale {

/// Thousands of nodes for months: each decides with the product's own planner, node table,
/// placement, audit and announce classes; everything between them is a model.
///
/// Rules of the model:
/// 1. A node that comes up is a process that starts: it knows what is on its disk and whom it knew
///    to hold the same, connects to those that are up and to the `neighbours` nearest to itself,
///    and each end learns what the other keeps.
/// 2. A connection whose other end went down is noticed `detection` later, by all who had one.
///    Pings are not simulated one by one.
/// 3. Co-holders tell each other within `gossip` whom else they know to hold the same.
/// 4. An invited node pulls one extent after another at `rate`. It has it if it is up until then
///    and anybody who has it is up at the end. It tells who invited it, who tells the other
///    holders; an invitation nobody answers fails after `answer_timeout`.
/// 5. A node's disk lives an exponential time; then a newborn with an empty disk takes its place
///    in the same slot. Copies on a disk are never forgotten while it lives.
/// 6. What is put into the DHT, and each lookup, is counted, not carried out.
///
/// One thread; the same options give the same run, which `trace` compares.
class ScaleSwarm {
  public:
    struct Options {
        std::size_t nodes = 1000;
        std::size_t extents = 1000;
        Duration length = std::chrono::hours(24 * 30);
        std::uint64_t seed = 1;
        unsigned copies = limits::copies_default;
        unsigned spare = 1;
        unsigned spare_from = 2;
        unsigned floor = limits::copies_default;  ///< with fewer live ones, an extent is "under"
        Duration detection = std::chrono::seconds(10);
        Duration grace = std::chrono::minutes(5);
        Duration youth = std::chrono::minutes(10);
        Duration takeover = std::chrono::seconds(10);
        Duration settle = std::chrono::seconds(20);  ///< of what a node finds when it starts
        Duration gossip = std::chrono::seconds(30);
        Duration answer_timeout = std::chrono::seconds(15);
        std::size_t neighbours = 24;
        ByteCount extent_bytes{64ULL << 20};
        double bytes_per_second = 2.5e6;              ///< of a node that pulls
        Duration life = std::chrono::hours(24 * 90);  ///< the mean of a disk; zero: for ever
        double drop_fraction = 0;                     ///< of the nodes that are up, all at once
        Duration drop_period = std::chrono::hours(24 * 7);
        Duration copy_life{};  ///< until a copy rots, the mean; zero: never
        unsigned audit_probes = 1;
        Duration audit_period = std::chrono::hours(24);
    };

    /// Requires `sessions` to outlive the swarm.
    ScaleSwarm(Options options, Sessions& sessions);

    /// Publishes the extents at time 0 and runs to the end.
    void run();

    [[nodiscard]] const Options& options() const { return options_; }
    [[nodiscard]] const Truth& truth() const { return truth_; }
    /// Of everything that happened and when.
    [[nodiscard]] std::uint64_t trace() const { return trace_; }
    [[nodiscard]] std::uint64_t events() const { return events_done_; }
    [[nodiscard]] const proto::AuditPlanner::Counts& audits() const { return audits_; }
    [[nodiscard]] std::uint64_t rotten_found() const { return rotten_found_; }
    /// The most records one node put in a minute.
    [[nodiscard]] std::uint64_t most_puts_of_a_node() const { return most_puts_of_a_node_; }

    void check_invariants() const;

  private:
    using NodeNumber = std::uint32_t;
    using ExtentNumber = std::uint32_t;
    static constexpr ExtentNumber every_extent = ~ExtentNumber{0};
    static constexpr std::uint64_t rot_bound = 1024;

    struct Pull {
        ExtentNumber extent;
        std::vector<std::pair<NodeNumber, std::uint32_t>> inviters;  // and their sessions
    };
    /// One identity, from its first start to the loss of its disk.
    struct Node {
        proto::NodeRecord record;
        NodeId id;
        std::uint64_t place = 0;  // in the DHT
        std::uint32_t slot = 0;
        std::uint32_t session = 0;
        bool up = false;
        bool dead = false;
        Numbers kept;           // what it says it has, or said before it died; sorted
        Numbers rotten;         // of these, what it has not; sorted
        Numbers acquaintances;  // known holders of the same; sorted
        Numbers peers;          // connected; sorted
        std::vector<Pull> pulls;
        TimePoint link_free_at{};
        Burst puts;
        std::unique_ptr<Mind> mind;  // while up
    };
    struct Slot {
        NodeNumber node = 0;
        std::uint32_t turn = 0;
        bool up = false;
    };
    struct Departure {
        NodeNumber node;
        std::vector<std::pair<NodeNumber, std::uint32_t>> watchers;  // and their sessions
    };
    struct Unreached {
        NodeNumber inviter;
        std::uint32_t session;
        NodeNumber target;
        ExtentNumber extent;
    };
    struct Extent {
        proto::ItemId item;
        Numbers live_holders;  // that say they keep it, rotten or not; sorted
        Numbers first_slots;   // of its first holders, for the oracle
    };

    // Coming and going: scale_swarm.cpp.
    void handle(const Event& event);
    NodeNumber add_node(std::uint32_t slot);
    void start_slots();
    void take_turn(std::uint32_t slot);
    void come_up(NodeNumber number, TimePoint since);
    void go_down(NodeNumber number);
    void plan_death(std::uint32_t slot);
    void die(std::uint32_t slot);
    void drop_many();
    void notice();
    void note_sizes();
    [[nodiscard]] static std::uint64_t place_of(ByteView id);
    [[nodiscard]] static ExtentNumber number_of(const proto::ItemId& item);
    [[nodiscard]] WallTime wall_at(TimePoint at) const;
    void after(Duration delay, Event event);

    // What nodes learn of each other: scale_knowledge.cpp.
    [[nodiscard]] bool connected(NodeNumber a, NodeNumber b) const;
    void connect(NodeNumber a, NodeNumber b);
    void meet(NodeNumber self, NodeNumber other);
    void expect_again(NodeNumber self, NodeNumber other);
    [[nodiscard]] Numbers common(NodeNumber a, NodeNumber b) const;
    void learn(NodeNumber self, NodeNumber holder, ExtentNumber extent);
    void tell(NodeNumber self, ExtentNumber extent);
    void widen(NodeNumber self, ExtentNumber extent);
    void find_candidates(NodeNumber self, const DhtKey& key);
    [[nodiscard]] Numbers live_holders(NodeNumber self, ExtentNumber extent) const;

    // What they do about it: scale_repair.cpp.
    void publish_all();
    void touch(NodeNumber number);
    void act(NodeNumber number);
    void announce(NodeNumber number);
    void audit(NodeNumber number);
    void invite(NodeNumber inviter, const proto::CopyPlanner::Invitation& invitation);
    void end_pull(NodeNumber number, ExtentNumber extent);
    void end_unreached();
    void take_up(NodeNumber number, ExtentNumber extent);
    void discard(NodeNumber number, ExtentNumber extent);
    void rot();
    void plan_rot();
    [[nodiscard]] bool has(const Node& node, ExtentNumber extent) const;

    Options options_;
    Sessions& sessions_;  // owned by whoever made the swarm
    Random random_;
    TimePoint now_{};
    EventQueue queue_;
    std::deque<Node> nodes_;
    std::vector<Slot> slots_;
    std::vector<Extent> extents_;
    std::unordered_map<NodeId, NodeNumber> numbers_;
    LiveRing ring_;
    std::size_t links_ = 0;
    std::deque<Departure> departures_;  // not noticed yet; the delay is the same for all
    std::deque<Unreached> unreached_;   // likewise
    Truth truth_;
    std::uint64_t trace_ = 0xcbf29ce484222325U;
    std::uint64_t events_done_ = 0;
    proto::AuditPlanner::Counts audits_;
    std::uint64_t rotten_found_ = 0;
    std::uint64_t most_puts_of_a_node_ = 0;
};

}  // namespace flow29::sim::scale
