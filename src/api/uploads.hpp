// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include <flow29/limits.hpp>

namespace flow29::api {

/// Files and directories on their way here from a browser, which cannot name a path: they come in
/// slices, in order, each saying where it belongs, so that one that got lost is sent again. What
/// came lies below a directory of its own, is published from there, and then removed.
///
/// Rules:
/// - A slice that does not begin where the file ends so far is refused with the place where it
///   does. Rationale: a slice that came although its answer was lost must not come twice.
/// - The same name, length and `tag` go on with what is there. A page that was closed does so.
/// - There is room on the disk for all that was announced, or the announcement is refused.
/// - What got no slice for limits::upload_idle_max is removed; so is everything at the start.
///
/// Any thread may call anything; one at a time is served.
class Uploads {
  public:
    using Clock = std::chrono::steady_clock;
    struct Offer {
        std::string name;   ///< of the file or directory: one component
        ByteCount bytes{};  ///< of all its files
        std::string tag{};  ///< what tells apart files of one name and length, such as their date
        bool is_directory = false;
        bool operator==(const Offer&) const = default;
    };
    struct State {
        std::string id;
        ByteCount received;
        ByteCount total;
    };

    /// Empties `directory`, which is made when it is needed.
    explicit Uploads(std::filesystem::path directory);
    ~Uploads();
    Uploads(const Uploads&) = delete;
    Uploads& operator=(const Uploads&) = delete;

    /// Errors: usage (the name), refused (too many), no_space, file_error.
    [[nodiscard]] Result<State> begin(Offer offer, Clock::time_point now);
    struct Slice {
        std::string id;
        std::string path;  ///< inside the directory; empty for a file
        ByteCount offset;
        std::string_view bytes;
    };
    /// How much of the slice's file is here then. Errors: not_found; usage (the path; more than
    /// announced); exists_already (it begins elsewhere: the message is the right offset; or all of
    /// it is here and closed); no_space, file_error.
    [[nodiscard]] Result<ByteCount> write(const Slice& slice, Clock::time_point now);
    /// What is here of a file of the upload: 0 when nothing is. Errors: not_found, usage.
    [[nodiscard]] Result<ByteCount> received(const std::string& id, const std::string& path);

    struct Complete {
        std::filesystem::path path;
        std::string name;
    };
    /// Takes no more slices until `release`. Errors: not_found, refused (not complete, or closed
    /// already).
    [[nodiscard]] Result<Complete> close(const std::string& id);
    /// What is over, published or cancelled, is removed. Otherwise it can be closed again.
    void release(const std::string& id, bool over);
    /// Errors: not_found, refused (being published).
    [[nodiscard]] Result<void> remove(const std::string& id);
    /// Removes what is stale.
    void sweep(Clock::time_point now);

  private:
    struct Upload {
        Offer offer;
        std::filesystem::path base;              // holds the file or directory
        std::map<std::string, ByteCount> files;  // "" for a file
        ByteCount received;
        Clock::time_point touched;
        bool closed = false;
    };
    // These are called with the mutex held.
    [[nodiscard]] Upload* find(const std::string& id);
    [[nodiscard]] ByteCount announced() const;
    void erase(const std::string& id);

    std::filesystem::path directory_;
    std::mutex mutex_;
    std::map<std::string, Upload> uploads_;
};

/// Whether a name can be one file's in a directory: not empty, not . or .., no slash or NUL, at
/// most 255 octets.
[[nodiscard]] bool is_file_name(std::string_view name);

}  // namespace flow29::api
