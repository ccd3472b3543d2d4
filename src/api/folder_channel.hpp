// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <flow29/error.hpp>

#include "api/fd_channel.hpp"
#include "node/folder.hpp"

namespace flow29::api {

/// What a node may do in one directory of somebody who asked it for something.
struct FolderGrant {
    UniqueFd directory;
    /// Of a fetch: what it writes. The node may look at this name, may do everything with the
    /// partial output and the journal beside it, and may give the output the name. Empty: it may
    /// read all that is in the directory, and change nothing.
    std::string output{};
    bool may_replace = false;  ///< what has that name already
};

/// Does in directories what a node asks for, as whoever runs this process, on a thread of its own;
/// the node has the other end of the socket, and only what it is granted. Requests and answers are
/// packets:
///
///     operation | folder | flags | mode | length of the path | time | path | name
///     error code | a new folder's number | more | text or entries       + a descriptor
///
/// Folders are numbered in the order of the grants; what a node enters gets the next number.
class FolderServer {
  public:
    /// The end for the node is in `there`.
    [[nodiscard]] static Result<std::unique_ptr<FolderServer>> start(
        std::vector<FolderGrant> grants, UniqueFd& there);
    /// Ends the thread; one operation of the disk may have to end first.
    ~FolderServer();
    FolderServer(const FolderServer&) = delete;
    FolderServer& operator=(const FolderServer&) = delete;

  private:
    struct Desk;
    FolderServer(std::unique_ptr<Desk> desk);
    std::unique_ptr<Desk> desk_;
    std::thread thread_;
};

/// The folders that are at the other end, `count` of them. An answer that does not come for half a
/// minute, or makes no sense, ends the channel: from then on everything is Errc::interrupted.
/// So does `gone`. When the other end is `own_user`, what is entered is used without it.
/// Errc::usage when `socket` is no such socket.
[[nodiscard]] Result<std::vector<std::shared_ptr<node::Folder>>> remote_folders(
    UniqueFd socket, std::size_t count, uid_t own_user, std::stop_token gone = {});

}  // namespace flow29::api
