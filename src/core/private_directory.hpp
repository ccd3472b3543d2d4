// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include <flow29/error.hpp>

namespace flow29::core {

/// Makes a directory into which nobody else may look (mode 0700), and those that it lies in with
/// the usual modes. One that is there stays as it is. Errors: those of the file system.
[[nodiscard]] Result<void> make_private_directory(std::filesystem::path directory);

}  // namespace flow29::core
