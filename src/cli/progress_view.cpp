// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/progress_view.hpp"

#include <algorithm>
#include <functional>
#include <utility>

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
constexpr Duration line_interval_min = 1s;
constexpr Duration line_interval_max = 10s;
constexpr auto stage_worth_keeping = 300ms;
constexpr auto rate_window = 5s;
constexpr std::size_t samples_max = 64;
constexpr std::size_t bar_cells_min = 5;
constexpr std::size_t bar_cells_max = 20;
constexpr std::size_t stage_cells = 10;

constexpr std::string_view clear_line = "\r\x1b[K";

std::string stage_for_people(std::string stage) {
    // Whoever waits can do something about it.
    if (stage == "nobody_yet") return std::string(stage_text(Stage::nobody_yet));
    std::replace(stage.begin(), stage.end(), '_', ' ');
    return stage;
}

double share(ByteCount done, ByteCount total) {
    return static_cast<double>(done.value) / static_cast<double>(total.value);
}

/// As long as a terminal of `width` cells has room for.
std::string bar(double share, std::size_t width) {
    const auto all = std::clamp(width / 9, bar_cells_min, bar_cells_max);
    const auto full = static_cast<std::size_t>(std::min(1.0, share) * static_cast<double>(all));
    std::string out;
    for (std::size_t i = 0; i < all; ++i)
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

/// What a line says, from what can be left out first to what is left out last.
enum class Worth { elapsed, own, holders, amount, bar, rate, copies, eta, share };

}  // namespace

struct ProgressView::Field {
    Worth worth;
    std::size_t place;  // from the left
    std::string text;
};

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
    if (new_stage || is_due(now)) out += draw(now);
    return out;
}

std::string ProgressView::on_tick(TimePoint now) {
    return current_ && is_due(now) ? draw(now) : std::string();
}

bool ProgressView::is_due(TimePoint now) const {
    if (style_.kind == ProgressStyle::Kind::redraw) return now - drawn_ >= redraw_interval;
    const Duration lasted = now - stage_began_;
    return is_behind() &&
           now - drawn_ >= std::clamp(lasted / 10, line_interval_min, line_interval_max);
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
           shown_->holders != current_->holders || shown_->copies_min != current_->copies_min ||
           shown_->sent != current_->sent;
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

std::vector<ProgressView::Field> ProgressView::fields(TimePoint now) const {
    const ProgressEvent& event = *current_;
    // What is sent once becomes several copies, so that the node alone knows what copies cost.
    const bool is_copies = event.stage == stage_name(Stage::copies);
    const double speed = is_copies ? static_cast<double>(event.sent_rate) : rate(now);
    std::vector<Field> fields;
    const auto add = [&fields](Worth worth, std::string text) {
        fields.push_back({worth, fields.size(), std::move(text)});
    };
    if (event.total.value != 0) {
        const double done = share(event.done, event.total);
        if (style_.kind == ProgressStyle::Kind::redraw)
            add(Worth::bar, fmt::format(" {}", bar(done, style_.width)));
        add(Worth::share, fmt::format(" {:3.0f}%", 100.0 * done));
    }
    if (is_copies && event.sent.value != 0)
        add(Worth::amount, fmt::format("  {} sent", format_size(event.sent)));
    else if (!is_copies && event.total.value != 0)
        add(Worth::amount,
            fmt::format("  {} of {}", format_size(event.done), format_size(event.total)));
    else if (!is_copies && event.done.value != 0)
        add(Worth::amount, fmt::format(" {}", format_size(event.done)));
    if (speed > 0) add(Worth::rate, fmt::format("  {}", format_rate(speed)));
    if (const auto left = is_copies ? event.eta : time_left(speed))
        add(Worth::eta, fmt::format("  ETA {}", format_left(*left)));
    if (event.own.value != 0)
        add(Worth::own, fmt::format("  {} were here", format_size(event.own)));
    if (event.holders != 0)
        add(Worth::holders,
            fmt::format("  {} holder{}", event.holders, event.holders == 1 ? "" : "s"));
    if (event.copies_target != 0)
        add(Worth::copies, fmt::format("  {} of {} copies", event.copies_min, event.copies_target));
    if (now - stage_began_ >= 1s)
        add(Worth::elapsed,
            fmt::format("  after {}",
                        format_duration(duration_cast<milliseconds>(now - stage_began_))));
    return fields;
}

std::optional<milliseconds> ProgressView::time_left(double speed) const {
    if (speed <= 0 || current_->total <= current_->done) return std::nullopt;
    const double left = static_cast<double>((current_->total - current_->done).value) / speed;
    constexpr double left_max = 30.0 * 24 * 3600;
    if (left >= left_max) return std::nullopt;
    return milliseconds(static_cast<std::int64_t>(left) * 1000);
}

std::string ProgressView::text(TimePoint now) const {
    std::string out = stage_for_people(current_->stage);
    const auto stage = cells(out);
    const auto padding = std::max(stage, stage_cells) - stage;
    if (style_.colour) out = fmt::format("\x1b[1;36m{}\x1b[0m", out);
    auto fields = this->fields(now);
    if (style_.kind == ProgressStyle::Kind::redraw) fit(fields, stage + padding);
    if (!fields.empty()) out.append(padding, ' ');
    for (const Field& field : fields)
        out += field.text;
    return out;
}

/// Keeps what fits after `taken` cells, what is worth most first.
void ProgressView::fit(std::vector<Field>& fields, std::size_t taken) const {
    std::ranges::sort(fields, std::greater(), &Field::worth);
    std::erase_if(fields, [&](const Field& field) {
        const auto wide = cells(field.text);
        if (taken + wide >= style_.width) return true;
        taken += wide;
        return false;
    });
    std::ranges::sort(fields, {}, &Field::place);
}

}  // namespace flow29::cli
