// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <string>

#include <flow29/error.hpp>

#include "api/unique_fd.hpp"
#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/requests.hpp"

namespace flow29::cli {

/// What is to be hashed or published, open for reading.
struct OpenSource {
    api::UniqueFd fd;
    Source source;
    ByteCount bytes;         ///< 0 when it is no regular file
    bool is_regular = true;  ///< a pipe or device can be read once only, and has no size
    bool is_directory = false;
};

/// Opens `path`, or standard input for "-". Errors: usage for a device; file_error.
[[nodiscard]] Result<OpenSource> open_source(const std::string& path);

/// Copies what has no size into a file without a name in `directory`, and shows progress. Errors:
/// file_error, no_space, interrupted.
[[nodiscard]] Result<void> spool(OpenSource& source, const std::filesystem::path& directory,
                                 Output& output, Interrupt& interrupt);

/// Requests are JSON, which cannot carry a path that is not UTF-8. Errc::usage for such a path.
[[nodiscard]] Result<std::filesystem::path> absolute_path(const std::filesystem::path& path);

}  // namespace flow29::cli
