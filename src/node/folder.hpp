// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <flow29/directory.hpp>
#include <flow29/error.hpp>
#include "core/unique_fd.hpp"
#include "node/beneath.hpp"

namespace flow29::node {

/// What a move does when something has the new name already.
enum class Replacing : std::uint8_t {
    nothing,  ///< Errc::exists_already
    file,     ///< it is gone
    swap,     ///< it gets the old name
};

/// A directory, and somebody who may use it: this process, or the one that asked for what is
/// written into it or read from it. What is opened comes as a descriptor; to read and write, no
/// further right is needed. So a node that runs as another user, or sees nothing of the file
/// system, works for whoever may, and the files are theirs.
///
/// Paths are relative, of names joined by `/`; none leads out of the directory, through no link
/// (see beneath.hpp). All functions block, and may be called from several threads. Errors:
/// file_error, exists_already and no_space as the system says, naming the path; refused when the
/// other process does not allow that; interrupted when it is gone.
class Folder {
  public:
    virtual ~Folder() = default;

    /// As openat2: O_CLOEXEC and O_NOFOLLOW are added. A regular file, or a directory if the flags
    /// say so.
    [[nodiscard]] virtual Result<core::UniqueFd> open(const std::string& path, int flags,
                                                      unsigned mode = 0) = 0;
    /// A directory in it, as a folder of its own that stays the same one when it is renamed.
    [[nodiscard]] virtual Result<std::shared_ptr<Folder>> enter(const std::string& path) = 0;
    /// Of a link itself; nothing when there is no such thing.
    [[nodiscard]] virtual Result<std::optional<struct stat>> look(const std::string& path) = 0;
    /// What is in a directory; an empty path is the folder itself.
    [[nodiscard]] virtual Result<std::vector<FolderEntry>> list(const std::string& path) = 0;
    /// With those above it; one that is there is left alone.
    [[nodiscard]] virtual Result<void> make_directories(const std::string& path) = 0;
    /// A file, or a directory with all that is in it.
    [[nodiscard]] virtual Result<void> remove(const std::string& path) = 0;
    [[nodiscard]] virtual Result<void> move(const std::string& from, const std::string& to,
                                            Replacing replacing) = 0;
    /// When a file was changed. Only its owner may say so, so its descriptor is not enough.
    [[nodiscard]] virtual Result<void> set_modified(const std::string& path, FileTime time) = 0;
    /// Makes the names in the folder durable.
    [[nodiscard]] virtual Result<void> sync() = 0;
    /// Whom the files belong to that are made.
    [[nodiscard]] virtual uid_t user() const = 0;
};

/// One that this process uses itself.
class LocalFolder final : public Folder {
  public:
    /// Opened when it is first used, so errors come then.
    explicit LocalFolder(std::filesystem::path path) : path_(std::move(path)) {}
    explicit LocalFolder(core::UniqueFd directory) : directory_(std::move(directory)) {}

    [[nodiscard]] Result<core::UniqueFd> open(const std::string& path, int flags,
                                              unsigned mode) override;
    [[nodiscard]] Result<std::shared_ptr<Folder>> enter(const std::string& path) override;
    [[nodiscard]] Result<std::optional<struct stat>> look(const std::string& path) override;
    [[nodiscard]] Result<std::vector<FolderEntry>> list(const std::string& path) override;
    [[nodiscard]] Result<void> make_directories(const std::string& path) override;
    [[nodiscard]] Result<void> remove(const std::string& path) override;
    [[nodiscard]] Result<void> move(const std::string& from, const std::string& to,
                                    Replacing replacing) override;
    [[nodiscard]] Result<void> set_modified(const std::string& path, FileTime time) override;
    [[nodiscard]] Result<void> sync() override;
    [[nodiscard]] uid_t user() const override;

  private:
    [[nodiscard]] Result<int> descriptor();

    std::filesystem::path path_;
    std::mutex mutex_;
    core::UniqueFd directory_;  // guarded by mutex_ until it is open
};

/// The folder that a path's last part is in, and that part.
struct NamedPlace {
    std::shared_ptr<Folder> folder;
    std::string name;
};
/// `folder` if that is somebody's, else the one that is at the path.
[[nodiscard]] NamedPlace place_in(const std::filesystem::path& path,
                                  std::shared_ptr<Folder> folder = nullptr);

/// Whether this process can read at `path` the very file that `fd` is.
[[nodiscard]] bool is_readable_at(const std::filesystem::path& path, int fd);

/// What a fetch calls the file or directory that becomes `name`: NAME.flow29-part; of a name that
/// leaves no room for that, its beginning and its hash.
[[nodiscard]] std::string partial_name(const std::string& name);
/// The name of the journal beside it.
[[nodiscard]] std::string journal_name(const std::string& name);

}  // namespace flow29::node
