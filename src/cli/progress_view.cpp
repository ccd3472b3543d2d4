// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/progress_view.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <flow29/node.hpp>

#include "cli/quantity.hpp"
#include "cli/text.hpp"

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr auto redraw_interval = 100ms;
constexpr auto line_interval = 1s;
constexpr auto stage_worth_keeping = 300ms;
constexpr auto rate_window = 5s;
constexpr std::size_t samples_max = 64;
constexpr std::size_t bar_cells = 20;
constexpr std::size_t stage_cells = 10;

constexpr std::string_view clear_line = "\r\x1b[K";

std::string stage_for_people(std::string stage) {
    // Whoever waits can do something about it.
    if (stage == "nobody_yet") return std::string(stage_text(Stage::nobody_yet));
    std::replace(stage.begin(), stage.end(), '_', ' ');
    return stage;
}

/// How much of `bar_cells` is full.
std::string bar(ByteCount done, ByteCount total) {
    const auto share =
        std::min(1.0, static_cast<double>(done.value) / static_cast<double>(total.value));
    const auto full = static_cast<std::size_t>(share * static_cast<double>(bar_cells));
    std::string out;
    for (std::size_t i = 0; i < bar_cells; ++i)
        out += i < full ? "█" : "░";
    return out;
}

/// What the network moved, which alone has a rate.
ByteCount moved(const ProgressEvent& event) {
    return event.done - std::min(event.done, event.own);
}

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

std::string ProgressView::on_progress(const ProgressEvent& event, TimePoint now) {
    if (style_.kind == ProgressStyle::Kind::none) return {};
    std::string out;
    const bool new_stage = !current_ || current_->stage != event.stage;
    if (new_stage) {
        // The next stage overwrites a line that is redrawn; what was printed stays as it was.
        if (style_.kind == ProgressStyle::Kind::lines && is_behind()) out += draw(now);
        if (line_open_ && now - stage_began_ >= stage_worth_keeping) {
            out += draw(now) + "\n";
            line_open_ = false;
        }
        start_stage(event, now);
    }
    current_ = event;
    samples_.push_back({now, moved(event)});
    while (samples_.size() > samples_max ||
           (samples_.size() > 2 && now - samples_[1].at >= rate_window))
        samples_.pop_front();
    const bool redraws = style_.kind == ProgressStyle::Kind::redraw;
    const Duration interval = redraws ? Duration(redraw_interval) : Duration(line_interval);
    if (new_stage || now - drawn_ >= interval) out += draw(now);
    return out;
}

std::string ProgressView::on_tick(TimePoint now) {
    if (style_.kind != ProgressStyle::Kind::redraw || !current_) return {};
    return now - drawn_ >= redraw_interval ? draw(now) : std::string();
}

std::string ProgressView::on_end(TimePoint now) {
    const bool open = std::exchange(line_open_, false);
    std::string out = open ? std::string(clear_line) : std::string();
    // Lines stay, so the last of them must not say less than there was in the end.
    if (style_.kind == ProgressStyle::Kind::lines && is_behind()) out += draw(now);
    current_.reset();
    return out;
}

bool ProgressView::is_behind() const {
    if (!current_ || !shown_ || shown_->stage != current_->stage) return false;
    return shown_->done != current_->done || shown_->total != current_->total ||
           shown_->holders != current_->holders || shown_->copies_min != current_->copies_min;
}

void ProgressView::start_stage(const ProgressEvent& event, TimePoint now) {
    // The time before the first event of a stage belongs to the stage before.
    stage_began_ = now;
    samples_.clear();
    samples_.push_back({now, moved(event)});
}

std::string ProgressView::draw(TimePoint now) {
    drawn_ = now;
    shown_ = current_;
    if (style_.kind == ProgressStyle::Kind::lines) return text(now) + "\n";
    line_open_ = true;
    const std::size_t width = std::max<std::size_t>(style_.width, 2) - 1;
    return std::string(clear_line) + cut_to(text(now), width);
}

double ProgressView::rate(TimePoint now) const {
    if (samples_.empty()) return 0;
    const Sample& oldest = samples_.front();
    const double elapsed = seconds(now - oldest.at);
    const ByteCount now_moved = moved(*current_);
    if (elapsed < 0.2 || now_moved < oldest.moved) return 0;
    return static_cast<double>((now_moved - oldest.moved).value) / elapsed;
}

std::string ProgressView::text(TimePoint now) const {
    const ProgressEvent& event = *current_;
    const std::string stage = stage_for_people(event.stage);
    std::string out = style_.colour ? fmt::format("\x1b[1;36m{}\x1b[0m", stage) : stage;
    const std::size_t bare = out.size();
    if (stage.size() < stage_cells) out.append(stage_cells - stage.size(), ' ');
    if (event.total.value != 0) {
        if (style_.kind == ProgressStyle::Kind::redraw)
            out += fmt::format(" {}", bar(event.done, event.total));
        out += fmt::format(
            " {:3.0f}%  {} of {}",
            100.0 * static_cast<double>(event.done.value) / static_cast<double>(event.total.value),
            format_size(event.done), format_size(event.total));
    } else if (event.done.value != 0) {
        out += fmt::format(" {}", format_size(event.done));
    }
    const double speed = rate(now);
    if (speed > 0) out += fmt::format("  {}", format_rate(speed));
    if (speed > 0 && event.total > event.done) {
        const double left = static_cast<double>((event.total - event.done).value) / speed;
        constexpr double left_max = 30.0 * 24 * 3600;
        if (left < left_max)
            out += fmt::format(
                "  ETA {}", format_duration(milliseconds(static_cast<std::int64_t>(left) * 1000)));
    }
    if (event.own.value != 0) out += fmt::format("  {} were here", format_size(event.own));
    if (event.holders != 0)
        out += fmt::format("  {} holder{}", event.holders, event.holders == 1 ? "" : "s");
    if (event.copies_target != 0)
        out += fmt::format("  {} of {} copies", event.copies_min, event.copies_target);
    if (now - stage_began_ >= 1s)
        out += "  " + format_duration(duration_cast<milliseconds>(now - stage_began_));
    // Padding that nothing follows would be blanks at the end of a line.
    if (out.find_first_not_of(' ', bare) == std::string::npos) out.resize(bare);
    return out;
}

}  // namespace flow29::cli
