// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"

namespace flow29::proto {

/// When the names that a node joins through are looked up. Sans-IO.
///
/// Rules:
/// 1. Each at once and by itself, but for `at_once_max`. Rationale: a name server that does not
///    answer keeps its caller for half a minute, and another name may be known at once.
/// 2. One without an address is looked up again after `pause_min`, and each time after twice as
///    long, up to `pause_max`.
/// 3. So is one that has addresses while nobody is connected. Rationale: the machine behind a name
///    moves, and then the name is right and what it stood for is not.
/// 4. Once somebody is connected, what has addresses begins anew with `pause_min`.
class NameSchedule {
  public:
    static constexpr Duration pause_min = std::chrono::seconds(1);
    static constexpr Duration pause_max = std::chrono::minutes(1);
    static constexpr std::size_t at_once_max = 16;

    /// Names that occur twice are one.
    explicit NameSchedule(const std::vector<std::string>& names);

    [[nodiscard]] bool empty() const { return entries_.empty(); }
    /// What to look up now; `on_outcome` follows for each. `alone`: nobody is connected.
    [[nodiscard]] std::vector<std::string> poll_look_ups(TimePoint now, bool alone);
    /// `problem`: why the name has no address; empty: it has some. Whether that is news.
    bool on_outcome(std::string_view name, std::string_view problem, TimePoint now);

    /// Whether it is too soon to say of some name that it has no address.
    [[nodiscard]] bool is_awaited() const;
    /// For people: which names have no address and why. Empty: none is known to lack one.
    [[nodiscard]] std::string problem() const;

  private:
    struct Entry {
        std::string name;
        std::string problem{};
        Duration pause = pause_min;
        TimePoint due{};  // once it was looked up
        bool running = false;
        bool answered = false;
    };
    std::vector<Entry> entries_;
};

}  // namespace flow29::proto
