// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <vector>

#include "core/time.hpp"
#include "sim/scale/avt.hpp"
#include "sim/scale/random.hpp"

namespace flow29::sim::scale {

/// When the machines of a swarm are up. Each slot is one machine's place: who owns the machine may
/// change, its coming and going does not. What one slot does depends on the seed and on nothing
/// else.
class Sessions {
  public:
    struct Start {
        bool up = false;
        Duration since{};  ///< how long it has been so
        Duration left{};   ///< how long it will be
    };

    virtual ~Sessions() = default;
    /// The state of a slot at time 0. Once a slot, before `next`.
    [[nodiscard]] virtual Start start(std::size_t slot) = 0;
    /// How long the slot, which just became up or down, stays so.
    [[nodiscard]] virtual Duration next(std::size_t slot, bool up) = 0;
};

/// Sessions and absences that are Weibull distributed with one shape; the absences' scale makes the
/// availability what is asked.
class WeibullSessions final : public Sessions {
  public:
    struct Options {
        Duration median = std::chrono::hours(2);  ///< of a session
        double shape = 0.6;
        double availability = 0.35;  ///< the mean fraction of time that a node is up
        std::uint64_t seed = 1;
    };

    WeibullSessions(std::size_t slots, Options options);

    [[nodiscard]] Start start(std::size_t slot) override;
    [[nodiscard]] Duration next(std::size_t slot, bool up) override;

    /// scale · Γ(1 + 1/shape), the scale being median / (ln 2)^(1/shape).
    [[nodiscard]] Duration mean_session() const;

  private:
    [[nodiscard]] Duration mean_absence() const;

    Options options_;
    Duration session_scale_;
    Duration absence_scale_;
    std::vector<Random> random_;  // by slot
};

/// The sessions of a measured network, over and over. Slots beyond the trace's nodes repeat them,
/// each time a day later, so that the time of day stays what it was.
class TraceSessions final : public Sessions {
  public:
    /// Requires a trace as read_avt gives it.
    TraceSessions(std::size_t slots, AvtTrace trace);

    [[nodiscard]] Start start(std::size_t slot) override;
    [[nodiscard]] Duration next(std::size_t slot, bool up) override;

  private:
    struct Cursor {
        std::size_t interval = 0;  // the one that is on, or comes next
        Duration round{};          // the start of this passage through the trace
        Duration now{};
    };
    [[nodiscard]] const std::vector<AvtTrace::Interval>& intervals(std::size_t slot) const;
    void advance(std::size_t slot);

    AvtTrace trace_;
    Duration period_;
    std::vector<Cursor> cursors_;  // by slot
};

}  // namespace flow29::sim::scale
