// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include "core/time.hpp"

namespace flow29::proto {

/// Whether others can dial this node, as those said who were asked to try. Sans-IO.
///
/// Rules:
/// 1. One that could is enough. Rationale: a gateway lets everybody in, or nobody.
/// 2. Nobody of those who answered could, `refusals_needed` times in a row: then nobody can.
///    Rationale: a gateway may be about to open its port, and a peer may be short of descriptors.
/// 3. Nobody answered: nothing is learned. Rationale: peers that are gone, or of an older version,
///    say nothing about this node.
/// 4. As long as nothing is known, nobody is to count on this node: unless it could be dialled when
///    it ran the last time, or nobody has said no for `patience`. Rationale: a yes takes a round
///    trip or two, and whoever cannot be dialled is to be no holder in the meantime; but what was a
///    holder is not to be missed for a restart, and the first nodes of a swarm have nobody to ask.
class ReachVerdict {
  public:
    static constexpr unsigned refusals_needed = 2;
    static constexpr Duration pause_alone = std::chrono::seconds(2);
    static constexpr Duration pause_refused = std::chrono::seconds(5);
    static constexpr Duration pause_unreachable = std::chrono::minutes(1);
    static constexpr Duration pause_reachable = std::chrono::minutes(15);
    static constexpr Duration patience = std::chrono::minutes(1);

    explicit ReachVerdict(TimePoint began, bool was_reachable = false)
        : began_(began), was_reachable_(was_reachable) {}

    struct Round {
        std::size_t answers = 0;
        std::size_t reached = 0;  ///< of the answers: it could be dialled
    };
    void on_round(const Round& round, TimePoint now);
    /// Somebody dialled this node without being asked.
    void on_dialled(TimePoint now);
    /// There is one more who can be asked: at once, if nobody has answered yet.
    void on_judge(TimePoint now);
    /// The address may be another than before: peers are asked at once. What is known stays so
    /// long.
    void on_news(TimePoint now);

    /// When peers are to be asked next.
    [[nodiscard]] TimePoint next_round() const { return next_round_; }
    /// Nothing: not known yet.
    [[nodiscard]] std::optional<bool> reachable() const { return reachable_; }
    /// Whether others are to count on this node.
    [[nodiscard]] bool counts(TimePoint now) const;

  private:
    TimePoint began_;
    bool was_reachable_;
    std::optional<bool> reachable_;
    unsigned refusals_ = 0;  // in a row
    TimePoint next_round_{};
};

}  // namespace flow29::proto
