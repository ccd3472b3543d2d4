// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flow29/error.hpp>

namespace flow29::api {

/// What the page fetches and has fetched, for when the node starts again: a file for each, of mode
/// 0600, since a link may have a key.
///
/// Any thread may call anything; all of it waits for the disk.
class FetchNotes {
  public:
    struct Note {
        std::string link;
        std::string outcome;  ///< the line with which it ended; empty: it is under way
        bool paused = false;
    };

    /// A private directory, made when there is something to be in it.
    explicit FetchNotes(std::filesystem::path directory) : directory_(std::move(directory)) {}

    /// In place of what was noted of this link. A failure is logged: the fetch goes on all the
    /// same.
    void put(const Note& note) const;
    /// Nothing happens when there is no note of it.
    void remove(std::string_view link) const;
    /// Those that were put and not removed, the latest last. What cannot be read, or has no link,
    /// is left out.
    [[nodiscard]] std::vector<Note> all() const;

  private:
    [[nodiscard]] std::filesystem::path file_of(std::string_view link) const;

    std::filesystem::path directory_;
};

}  // namespace flow29::api
