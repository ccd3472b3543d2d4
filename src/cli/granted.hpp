// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>

#include <flow29/error.hpp>

#include "api/folder_channel.hpp"
#include "cli/requests.hpp"

namespace flow29::cli {

/// Files of this user's that a node may use until this is destroyed.
struct GrantedFiles {
    std::unique_ptr<api::FolderServer> server;
    api::UniqueFd socket;  ///< for the node
};

/// Everything in a directory, to read.
[[nodiscard]] Result<GrantedFiles> grant_reading(api::UniqueFd directory);

/// What a fetch needs to write there, and no more; sets `output.inside`. Errors: file_error.
[[nodiscard]] Result<GrantedFiles> grant_writing(FetchOutput& output, bool may_replace);

}  // namespace flow29::cli
