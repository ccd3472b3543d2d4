// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <flow29/error.hpp>

/// Keys and settings: files of one's own that are read as a whole.
namespace flow29::core {

/// More than any of them has. A TOML key of 64 kB has so many parts that the parser's recursion
/// ends the program.
inline constexpr std::size_t small_file_bytes_max = 16 * 1024;

/// What it says, and who may do what to it.
struct SmallFile {
    std::string text;
    unsigned mode = 0;  ///< permission bits
};

/// Nothing when there is no such file. Errors: file_error (it cannot be read, is too long,
/// or is a pipe into which nobody writes for some seconds).
[[nodiscard]] Result<std::optional<SmallFile>> read_small_file(const std::filesystem::path& path);

/// Creates or replaces the file, with mode 0600: after a power cut it is as before or as told.
/// Errors: those of the file system.
[[nodiscard]] Result<void> write_small_file(const std::filesystem::path& path,
                                            std::string_view text);

}  // namespace flow29::core
