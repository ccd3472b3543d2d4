// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>

#include "core/time.hpp"

namespace flow29::net {

/// When a node calls on its LAN. Sans-IO.
///
/// Rules:
/// 1. At the start, after 2, 10 and 30 seconds, and then once a minute.
/// 2. `pause_before_answer` after the last call at the earliest when somebody calls who was not
///    heard before. Rationale: a newcomer finds the others at once, and whoever makes up newcomers
///    gets a call a second, no more.
/// 3. When the machine's networks change they are looked at, `pause_before_answer` later, however
///    many changes there are until then. If it has an address then from which it has not called, it
///    does so as if it had just started. Rationale: a node may start before its network is up.
class LanSchedule {
  public:
    static constexpr Duration pause_before_answer = std::chrono::seconds(1);
    static constexpr Duration pause = std::chrono::minutes(1);

    enum class Step {
        look,  ///< at the networks; on_new_source if there is one
        call
    };
    /// What is due now, if anything; it counts as done. The first is a call.
    [[nodiscard]] std::optional<Step> poll(TimePoint now);
    /// When poll has something, without further events.
    [[nodiscard]] TimePoint next_deadline() const;

    /// Somebody called who was not heard before.
    void on_newcomer() { is_asked_ = true; }
    void on_network_changed(TimePoint now);
    void on_new_source();

  private:
    [[nodiscard]] TimePoint next_call() const;

    std::optional<TimePoint> called_at_;  // last
    std::optional<TimePoint> look_at_;
    std::size_t calls_ = 0;  // since the start, or a new source, answers aside
    bool is_asked_ = false;
};

}  // namespace flow29::net
