// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include <flow29/link.hpp>

/// Last lines of a node's answers, as a person reads them. Each takes the JSON line and gives text
/// that ends with a newline. A field that is missing is shown as nothing.
namespace flow29::cli {

/// What `publish` says: the link goes to standard output alone, so that it can be captured.
struct PublishedText {
    std::string link;
    std::optional<Link> parsed;
    std::string note;
    bool degraded = false;  ///< fewer copies than asked
};
/// `in_process`: the publisher's node ends with this command.
[[nodiscard]] PublishedText render_published(std::string_view line, bool in_process);
[[nodiscard]] std::string render_fetched(std::string_view line);
/// What others are served of it, where that may surprise; else empty.
[[nodiscard]] std::string render_sharing(std::string_view line);
[[nodiscard]] std::string render_located(std::string_view line);
[[nodiscard]] std::string render_health(std::string_view line);
[[nodiscard]] std::string render_status(std::string_view line);
/// `chosen`: how the ids that were asked for begin; empty: all were.
[[nodiscard]] std::string render_peers(std::string_view line, const std::string& chosen = {});
[[nodiscard]] std::string render_objects(std::string_view line);
[[nodiscard]] std::string render_listing(std::string_view line);
struct VerificationText {
    std::string text;
    bool sound = false;  ///< nothing is damaged that was not healed
};
[[nodiscard]] VerificationText render_verification(std::string_view line);
struct LogText {
    std::string text;
    std::uint64_t next = 0;  ///< what to ask after next time
};
[[nodiscard]] LogText render_log(std::string_view line);
struct DepartureText {
    std::string text;
    bool left = false;
};
[[nodiscard]] DepartureText render_departure(std::string_view line);
[[nodiscard]] std::string render_blocklist(std::string_view line);
[[nodiscard]] std::string render_transfers(std::string_view line);
[[nodiscard]] std::string render_limits(std::string_view line);
/// What `invite` says: the word goes to standard output alone, so that it can be captured.
struct InvitationText {
    std::string word;
    std::string note;
};
[[nodiscard]] InvitationText render_invitation(std::string_view line);
[[nodiscard]] std::string render_joined(std::string_view line);
[[nodiscard]] std::string render_withdrawal(std::string_view line);

/// A failed input of several.
struct FailedInput {
    std::string path;
    Error error;
};
/// `line` with the event "published" and the path it is about.
[[nodiscard]] std::string published_event(std::string_view line, const std::string& path);
[[nodiscard]] std::string failed_event(const FailedInput& failed);
/// The last line of a publish of several paths.
[[nodiscard]] std::string publish_summary(const std::vector<std::string>& lines,
                                          const std::vector<FailedInput>& failed);

/// `line` with another event, for results that are repeated.
[[nodiscard]] std::string with_event(std::string_view line, const char* event);

}  // namespace flow29::cli
