// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <flow29/ids.hpp>
#include "core/line.hpp"
#include "core/time.hpp"

namespace flow29::proto {

/// Decides which of many flows moves bytes next when all of them share one limited budget.
///
/// Rules:
/// 1. A flow that wants to move asks for a turn, and waits until it is given one. A turn is for
///    `quantum` octets, which the budget is charged for at once; what is not used is given back.
/// 2. Of the flows that wait, the one that had least goes first, counted from when it began to
///    wait: so each gets the same, whatever the size of what it sends, and one that was idle
///    neither saves anything up nor loses anything. Source: start-time fair queueing (Goyal, Vin,
///    Cheng, 1996).
/// 3. Flows wait in one of two classes. While both wait, `foreground` has nine tenths of the bytes,
///    however many flows there are of each; alone, either has all.
///    Rationale: nobody waits for what is in the background, but if it stopped altogether, what was
///    lost would not come back while somebody downloads.
///
/// O(log flows) a decision. Without a limit nobody need ask.
class FairShare {
  public:
    enum class FlowId : std::uint64_t {};
    enum class Class : std::uint8_t { foreground, background };
    struct Turn {
        FlowId flow{};
        ByteCount octets;
    };
    static constexpr std::uint64_t foreground_weight = 9;  ///< to one of the background

    /// `budget` outlives this.
    explicit FairShare(core::LineBudget& budget) : budget_(budget) {}

    [[nodiscard]] FlowId add();
    /// It waits no longer; what it holds must have been given back.
    void remove(FlowId flow);
    /// Waits for a turn, in the class that it asked for last.
    void want(FlowId flow, Class as);
    /// The next turn, if anybody waits and the budget allows one now.
    [[nodiscard]] std::optional<Turn> poll_turn(TimePoint now);
    /// Octets of a turn that were not used.
    void give_back(FlowId flow, ByteCount octets);
    /// When poll_turn may have something; nothing while nobody waits.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    /// Octets of a turn: a sixteenth of a second's worth, between 1 and 64 KiB.
    [[nodiscard]] ByteCount quantum() const;
    void check_invariants() const;

  private:
    // What a flow or class had, in octets by its weight; comparable within its round only.
    using Tag = std::uint64_t;
    struct Flow {
        std::array<Tag, 2> had{};  // by class
        std::optional<Class> waits;
        Tag waits_at = 0;
        std::uint64_t since = 0;
    };
    struct Queue {
        std::set<std::pair<std::pair<Tag, std::uint64_t>, FlowId>> waiting;
        Tag reached = 0;  // of the turn given last
        Tag had = 0;
    };

    void stop_waiting(FlowId id, Flow& flow);
    [[nodiscard]] Class next_class() const;

    core::LineBudget& budget_;  // owned by whoever made this
    std::map<FlowId, Flow> flows_;
    std::array<Queue, 2> queues_;
    Tag reached_ = 0;
    std::uint64_t last_flow_ = 0;
    std::uint64_t last_ask_ = 0;
};

}  // namespace flow29::proto
