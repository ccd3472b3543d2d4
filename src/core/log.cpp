// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/log.hpp"

#include "core/clock.hpp"
#include "core/log_ring.hpp"
#include "core/printable.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>

namespace flow29::core::log {
namespace {

std::atomic<Level>& threshold() {
    static std::atomic<Level> level = Level::warn;
    return level;
}

struct Ring {
    std::mutex mutex;
    std::deque<Line> lines;
    std::uint64_t last_number = 0;
};

Ring& ring() {
    static auto* const instance = new Ring;  // never destroyed, as the logger
    return *instance;
}

void remember(Level level, std::string component, std::string text) {
    if (text.size() > ring_line_bytes_max) text.resize(ring_line_bytes_max);
    const auto now = wall_now();
    Ring& kept = ring();
    const std::lock_guard lock(kept.mutex);
    kept.lines.push_back({++kept.last_number, now, level, std::move(component), std::move(text)});
    if (kept.lines.size() > ring_lines_max) kept.lines.pop_front();
}

spdlog::logger& logger() {
    // Never destroyed: other threads may still log while the program ends.
    static auto* const instance = [] {
        auto* created =
            new spdlog::logger("flow29", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        created->set_level(spdlog::level::trace);  // `enabled` decides
        created->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
        return created;
    }();
    return *instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warn:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

}  // namespace

void set_level(Level level) {
    threshold().store(level, std::memory_order_relaxed);
}

bool enabled(Level level) {
    return level >= threshold().load(std::memory_order_relaxed);
}

void write(Level level, std::string_view component, std::string_view text) {
    if (!enabled(level)) return;
    std::string from = printable(component);
    std::string line = printable(text);
    logger().log(to_spdlog(level), "{}: {}", from, line);
    remember(level, std::move(from), std::move(line));
}

std::vector<Line> recent(std::uint64_t after, Level level, std::size_t count_max) {
    Ring& kept = ring();
    const std::lock_guard lock(kept.mutex);
    std::vector<Line> found;
    for (auto line = kept.lines.rbegin(); line != kept.lines.rend() && line->number > after; ++line)
        if (line->level >= level && found.size() < count_max) found.push_back(*line);
    return {found.rbegin(), found.rend()};
}

std::string_view level_name(Level level) noexcept {
    switch (level) {
        case Level::debug:
            return "debug";
        case Level::info:
            return "info";
        case Level::warn:
            return "warn";
        case Level::error:
            return "error";
    }
    return "error";
}

}  // namespace flow29::core::log
