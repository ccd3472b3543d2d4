// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/error.hpp>

namespace flow29::api {

/// The links of the fetches that the page began and that are not over, so that they go on when the
/// node starts again: a file for each, of mode 0600, since a link may have a key.
///
/// Any thread may call anything; all of it waits for the disk.
class BegunFetches {
  public:
    /// A private directory, made when there is something to be in it.
    explicit BegunFetches(std::filesystem::path directory) : directory_(std::move(directory)) {}

    /// A failure is logged: the fetch goes on all the same.
    void add(std::string_view link) const;
    /// Nothing happens when it is not there.
    void remove(std::string_view link) const;
    /// Those that were added and not removed, the oldest first. What cannot be read, or is no link,
    /// is left out.
    [[nodiscard]] std::vector<std::string> links() const;

  private:
    [[nodiscard]] std::filesystem::path file_of(std::string_view link) const;

    std::filesystem::path directory_;
};

}  // namespace flow29::api
