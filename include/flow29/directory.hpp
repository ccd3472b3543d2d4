// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <flow29/ids.hpp>

namespace flow29 {

/// What a path in a directory names. The value stands in manifests, so it never changes.
enum class EntryType : std::uint8_t {
    file = 0,
    executable = 1,       ///< a file that its owner may execute
    empty_directory = 2,  ///< other directories follow from the paths of what is in them
};

/// When a file was changed, since 1970 (UTC).
using FileTime = std::chrono::sys_time<std::chrono::nanoseconds>;

/// One path of a directory.
struct DirectoryEntry {
    std::string path;  ///< octets, relative, parts joined by '/'; not necessarily UTF-8
    EntryType type = EntryType::file;
    ByteCount length;  ///< 0 unless it is a file
    /// Of a file of a directory that was published with times, and nothing else.
    std::optional<FileTime> modified{};

    bool operator==(const DirectoryEntry&) const = default;
};

}  // namespace flow29
