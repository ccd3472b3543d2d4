// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/name_schedule.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/assert.hpp"

namespace flow29::proto {

NameSchedule::NameSchedule(const std::vector<std::string>& names) {
    for (const auto& name : names)
        if (std::ranges::count(entries_, name, &Entry::name) == 0) entries_.push_back({name});
}

std::vector<std::string> NameSchedule::poll_look_ups(TimePoint now, bool alone) {
    auto running = static_cast<std::size_t>(std::ranges::count(entries_, true, &Entry::running));
    std::vector<std::string> due;
    for (auto& entry : entries_) {
        if (entry.running || running >= at_once_max) continue;
        if (entry.answered && entry.problem.empty() && !alone) {
            entry.pause = pause_min;
            entry.due = now + entry.pause;
        }
        if (entry.answered && now < entry.due) continue;
        entry.running = true;
        ++running;
        due.push_back(entry.name);
    }
    return due;
}

bool NameSchedule::on_outcome(std::string_view name, std::string_view problem, TimePoint now) {
    const auto entry = std::ranges::find(entries_, name, &Entry::name);
    FLOW29_ASSERT(entry != entries_.end());
    FLOW29_ASSERT(entry->running);
    const bool is_news = !entry->answered || entry->problem != problem;
    // A name that comes or goes is looked at closely again.
    if (is_news) entry->pause = pause_min;
    entry->running = false;
    entry->answered = true;
    entry->problem = problem;
    entry->due = now + entry->pause;
    entry->pause = std::min(2 * entry->pause, pause_max);
    return is_news;
}

bool NameSchedule::is_awaited() const {
    return std::ranges::count(entries_, false, &Entry::answered) > 0;
}

std::string NameSchedule::problem() const {
    std::string text;
    std::size_t more = 0;
    for (const auto& entry : entries_) {
        if (entry.problem.empty()) continue;
        if (text.empty())
            text = fmt::format("bootstrap {}: {}", entry.name, entry.problem);
        else
            ++more;
    }
    return more == 0 ? text : fmt::format("{}, and {} more names without an address", text, more);
}

}  // namespace flow29::proto
