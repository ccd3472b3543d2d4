// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <flow29/error.hpp>

/// Small secrets in files of their own.
namespace flow29::core {

/// More than any key file of ours has.
inline constexpr std::size_t key_file_bytes_max = 16 * 1024;

/// What a key file says, and who may do what to it.
struct KeyFile {
    std::string text;
    unsigned mode = 0;  ///< permission bits
};

/// Nothing when there is no such file. Errors: file_error (it cannot be read, or is too long).
[[nodiscard]] Result<std::optional<KeyFile>> read_key_file(const std::filesystem::path& path);

/// Creates or replaces the file, with mode 0600: after a power cut it is as before or as told.
/// Errors: those of the file system.
[[nodiscard]] Result<void> write_key_file(const std::filesystem::path& path, std::string_view text);

}  // namespace flow29::core
