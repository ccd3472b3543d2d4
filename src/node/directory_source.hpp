// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <vector>

#include "core/manifest.hpp"
#include "node/folder.hpp"
#include "node/open_files.hpp"
#include "node/source.hpp"

namespace flow29::node {

/// A directory in the form in which it is published: its manifest, then its files. They are opened
/// as they are read, beneath the directory and never through a link.
class DirectorySource final : public Source {
  public:
    /// Looks at everything beneath the folder. `has_times`: the manifest says when each file was
    /// changed. Errors: refused, naming the path, for what is neither file nor directory, or has a
    /// name that is not allowed; file_error.
    [[nodiscard]] static Result<std::unique_ptr<DirectorySource>> scan(
        std::shared_ptr<Folder> folder, bool has_times);
    /// The same of an open directory, which the caller may close.
    [[nodiscard]] static Result<std::unique_ptr<DirectorySource>> scan(int fd, bool has_times);

    [[nodiscard]] ObjectKind kind() const override { return ObjectKind::directory; }
    [[nodiscard]] ByteCount length() const override { return tree_.manifest.object_length(); }
    [[nodiscard]] Result<void> read(std::uint64_t offset,
                                    std::span<std::uint8_t> out) const override;
    /// Looks at everything again.
    [[nodiscard]] Result<void> check_unchanged() const override;

  private:
    /// What changes when a file does.
    struct Facts {
        std::int64_t modified_s = 0;
        std::int64_t modified_ns = 0;  // and so many
        std::uint64_t inode = 0;
        bool operator==(const Facts&) const = default;
    };
    struct Tree {
        core::Manifest manifest;
        std::vector<Facts> facts;  ///< of each entry; none of a directory
    };

    DirectorySource(std::shared_ptr<Folder> folder, bool has_times, Tree tree);
    [[nodiscard]] static Result<Tree> look(Folder& folder, bool has_times);
    [[nodiscard]] static Facts facts_of(const struct stat& status);
    [[nodiscard]] Result<core::UniqueFd> open(std::size_t index) const;
    [[nodiscard]] Result<void> read_file(std::size_t index, std::uint64_t offset,
                                         std::span<std::uint8_t> out) const;

    std::shared_ptr<Folder> folder_;
    bool has_times_;
    Tree tree_;
    Bytes encoded_;  // the manifest
    mutable OpenFiles files_;
};

/// Reads exactly [offset, offset + out.size()) of the content of the entry `index`.
using ReadFileFn = std::function<Result<void>(std::size_t index, std::uint64_t offset,
                                              std::span<std::uint8_t> out)>;
/// Fills `out` with [offset, offset + out.size()) of the object that a manifest describes, zeros
/// between the files. `encoded` is the manifest's. Errors: what `read_file` says.
[[nodiscard]] Result<void> read_packed(const core::Manifest& manifest, ByteView encoded,
                                       std::uint64_t offset, std::span<std::uint8_t> out,
                                       const ReadFileFn& read_file);

}  // namespace flow29::node
