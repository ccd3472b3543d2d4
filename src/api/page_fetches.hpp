// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include <flow29/link.hpp>
#include <flow29/node.hpp>

#include "api/chores.hpp"
#include "api/fetch_notes.hpp"
#include "api/http_message.hpp"
#include "api/jobs.hpp"

namespace flow29::api {

/// What the page fetches, into `fetched/` below `data`, and what is noted of it in `fetching/`, so
/// that it is known when the node starts again.
///
/// Rules:
/// - A folder an object: the same link resumes, and no two objects meet.
/// - What ran goes on by itself at the next start. If it finds no swarm then, it is tried again
///   every ten seconds until it is dismissed.
/// - What was paused, by whomever, stays so until somebody resumes it.
/// - What has ended is known until it is dismissed, one that went well also only as long as what
///   came is there.
class PageFetches {
  public:
    /// `node` and `jobs` must outlive it, and whoever does the chores must not.
    PageFetches(Node& node, Jobs& jobs, const std::filesystem::path& data, Chores::Desk desk);

    [[nodiscard]] HttpResponse fetch(const HttpRequest& request, const std::stop_token& stop);
    /// At the start.
    void resume();

    // Chores.
    void tidy(const std::stop_token& stop);
    void note_pauses(const std::stop_token& stop);
    /// Whether it is to be done soon again.
    [[nodiscard]] bool has_to_look() const;

  private:
    /// `again`: when it finds no swarm, it is tried again and again. Errors: those of the file
    /// system.
    [[nodiscard]] Result<Jobs::Options> options_of(const Link& link, bool again);
    /// The job. Errors: refused.
    [[nodiscard]] Result<std::uint64_t> begin(Jobs::Options options);
    /// As it is called here, when the link does not say.
    [[nodiscard]] std::string known_name(const RootHash& root, const std::stop_token& stop);
    void try_again();

    Node& node_;  // owned by whoever made this, as the jobs are
    Jobs& jobs_;
    std::filesystem::path directory_;
    FetchNotes notes_;
    Chores::Desk desk_;
    // For chores alone.
    std::set<std::string> paused_;  // links
    std::vector<Link> again_;       // those that found no swarm
    std::chrono::steady_clock::time_point next_try_{};
};

}  // namespace flow29::api
