// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "cli/event.hpp"
#include "core/time.hpp"

namespace flow29::cli {

struct ProgressStyle {
    enum class Kind { none, lines, redraw };
    Kind kind = Kind::none;
    bool colour = false;
    std::size_t width = 80;  ///< cells of the terminal
};

/// Decides what to print about progress, and when. It writes nothing itself: every function returns
/// what to append to the terminal or log.
///
/// Rules
/// - redraw: one line is drawn over; a stage that lasted a moment leaves its line behind. What does
///   not fit the terminal is left out, what matters least first; the bar is shorter on a narrow
///   one.
///   Rationale: the reader sees where the time went, and short stages do not flood the screen.
/// - lines: a line at each change of stage, and between them one when something has changed: at
///   most one a second, and in a long stage one every ten; at the end of a stage one more, unless
///   the last one said the same.
///   Rationale: a log stays readable, still shows that something moves, and ends on what was
///   reached.
class ProgressView {
  public:
    explicit ProgressView(ProgressStyle style) : style_(style) {}

    [[nodiscard]] std::string on_progress(const ProgressEvent& event, TimePoint now);
    /// To be called a few times a second, so that waiting shows its duration.
    [[nodiscard]] std::string on_tick(TimePoint now);
    /// Clears the line that is being redrawn, or ends the lines: other output follows.
    [[nodiscard]] std::string on_end(TimePoint now);

  private:
    struct Sample {
        TimePoint at;
        ByteCount moved;  // done, without what lay in the node's own store
    };

    /// A part of the line.
    struct Field;

    [[nodiscard]] std::string draw(TimePoint now);
    /// What can be said of the present stage, from left to right.
    [[nodiscard]] std::vector<Field> fields(TimePoint now) const;
    void fit(std::vector<Field>& fields, std::size_t taken) const;
    [[nodiscard]] std::optional<std::chrono::milliseconds> time_left(double speed) const;
    [[nodiscard]] std::string text(TimePoint now) const;
    [[nodiscard]] bool is_due(TimePoint now) const;
    /// Whether the last line that was printed says something else than the last event.
    [[nodiscard]] bool is_behind() const;
    [[nodiscard]] double rate(TimePoint now) const;
    void start_stage(const ProgressEvent& event, TimePoint now);

    ProgressStyle style_;
    std::optional<ProgressEvent> current_;
    std::optional<ProgressEvent> shown_;
    TimePoint stage_began_{};
    TimePoint drawn_{};
    std::deque<Sample> samples_;  // of the last seconds of this stage
    bool line_open_ = false;
};

}  // namespace flow29::cli
