// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

namespace flow29::cli {

/// A progress line, as far as a person is told about it.
struct ProgressEvent {
    std::string stage;  ///< "looking_up"
    ByteCount done;
    ByteCount total;
    ByteCount own;  ///< of `done`, what lay in the node's own store
    std::uint64_t holders = 0;
    std::uint64_t copies_min = 0;
    std::uint64_t copies_target = 0;
    ByteCount sent;               ///< of a publication, by the node
    std::uint64_t sent_rate = 0;  ///< bytes per second of that
    std::optional<std::chrono::milliseconds> eta;
};

/// One line of a node's answer.
struct Event {
    enum class Kind { progress, done, error };
    Kind kind = Kind::progress;
    ProgressEvent progress;  ///< when kind is progress
    Error error;             ///< when kind is error
};

/// Errc::other when the line is not one a node writes. Codes and fields of a later version that are
/// not known here are taken as "other" and skipped.
[[nodiscard]] Result<Event> parse_event(std::string_view line);

/// The line for progress that arises in this process.
[[nodiscard]] std::string progress_line(const ProgressEvent& progress);

}  // namespace flow29::cli
