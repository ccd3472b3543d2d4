// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/error.hpp>
#include "core/unique_fd.hpp"

/// Files below an open directory, reached in such a way that no path and no link, whoever puts it
/// there and when, leads out of that directory.
namespace flow29::node {

/// openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS. An empty path is the directory itself.
/// Errors: file_error and what fail_errno makes of others, naming the path.
[[nodiscard]] Result<core::UniqueFd> open_beneath(int directory, const std::string& path, int flags,
                                                  unsigned mode = 0);

/// Makes a directory and those above it that are missing.
[[nodiscard]] Result<void> make_directories_beneath(int directory, const std::string& path);

/// Deletes a file, or a directory with all that is in it, without following a link.
[[nodiscard]] Result<void> remove_beneath(int directory, const std::string& path);

struct FolderEntry {
    std::string name;
    struct stat facts;  ///< of a link itself
};
/// What is in a directory, in no particular order. Errors: file_error.
[[nodiscard]] Result<std::vector<FolderEntry>> list_beneath(int directory, const std::string& path);

/// Told of everything below a directory, each directory before what is in it; `path` is relative,
/// `facts` are of a link itself. For a directory true says that its contents are wanted. An error
/// ends the walk.
using VisitFn = std::function<Result<bool>(const std::string& path, const struct stat& facts)>;
using ListFn = std::function<Result<std::vector<FolderEntry>>(const std::string& path)>;
/// In no particular order. Errors: what `list` or `visit` says.
[[nodiscard]] Result<void> walk(const ListFn& list, const VisitFn& visit);
/// The same of a directory that is open here. Errors: file_error, or what `visit` says.
[[nodiscard]] Result<void> walk_beneath(int directory, const VisitFn& visit);

}  // namespace flow29::node
