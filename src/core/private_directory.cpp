// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/private_directory.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <system_error>

namespace flow29::core {

Result<void> make_private_directory(std::filesystem::path directory) {
    if (!directory.has_filename()) directory = directory.parent_path();  // it ended in a slash
    const auto made = [&directory] { return ::mkdir(directory.c_str(), 0700) == 0; };
    if (made()) return {};
    if (errno == ENOENT && directory.has_parent_path()) {
        std::error_code ec;
        std::filesystem::create_directories(directory.parent_path(), ec);
        if (ec) return fail_errno(ec.value(), directory.parent_path().string());
        if (made()) return {};
    }
    if (errno != EEXIST) return fail_errno(errno, directory.string());
    std::error_code ignored;
    if (!std::filesystem::is_directory(directory, ignored))
        return fail_errno(ENOTDIR, directory.string());
    return {};
}

}  // namespace flow29::core
