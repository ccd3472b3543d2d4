// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/granted.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <vector>

namespace flow29::cli {
namespace {

Result<GrantedFiles> serve(std::vector<api::FolderGrant> grants) {
    GrantedFiles granted;
    auto server = api::FolderServer::start(std::move(grants), granted.socket);
    if (!server) return fail(server.error());
    granted.server = std::move(*server);
    return granted;
}

Result<api::UniqueFd> open_directory(const std::filesystem::path& path) {
    api::UniqueFd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return fail_errno(errno, path.string());
    return directory;
}

Result<api::UniqueFd> open_to_write(const std::filesystem::path& path) {
    auto directory = open_directory(path);
    if (directory && ::faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
        return fail_errno(errno, path.string());
    return directory;
}

}  // namespace

Result<GrantedFiles> grant_reading(api::UniqueFd directory) {
    std::vector<api::FolderGrant> grants;
    grants.push_back({std::move(directory)});
    return serve(std::move(grants));
}

Result<GrantedFiles> grant_writing(FetchOutput& output, bool may_replace) {
    if (!output.path.has_filename()) output.path = output.path.parent_path();
    auto parent = open_to_write(output.path.parent_path());
    if (!parent) return fail(parent.error());
    std::vector<api::FolderGrant> grants;
    grants.push_back({std::move(*parent), output.path.filename().string(), may_replace});
    if (!output.name.empty()) {
        // It was a directory a moment ago.
        auto itself = open_to_write(output.path);
        if (!itself) return fail(itself.error());
        grants.push_back({std::move(*itself), output.name, may_replace});
        output.inside = true;
    }
    return serve(std::move(grants));
}

}  // namespace flow29::cli
