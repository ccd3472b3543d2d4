// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "core/descriptor.hpp"
#include "core/file_key.hpp"
#include "core/manifest.hpp"
#include "core/range_set.hpp"
#include "node/open_files.hpp"
#include "node/partial_output.hpp"
#include "store/store.hpp"

namespace flow29::node {

/// A directory, or one inside it, while it is fetched: `PATH.flow29-part` beside the final place,
/// in which every file is filled where it lies. What is verified and synced is
/// noted as for a single file. Nothing is written outside that directory, whatever the manifest and
/// whoever else writes there.
class PartialDirectory : public PartialOutput {
  public:
    struct Options {
        std::filesystem::path path;  ///< final place
        RootHash root;
        std::string below;  ///< the directory inside the object that is wanted; empty: all of it
        bool overwrite = false;
        std::optional<core::FileKey> key{};  ///< of a private object: it comes decrypted
        std::shared_ptr<Folder> folder{};    ///< that `path` is in; null: this process's own
        std::stop_token stop{};  ///< ends what is done for every file there is, as interrupted
    };

    /// Requires `store` to outlive it. The manifest is the descriptor's.
    PartialDirectory(store::Store& store, core::Descriptor descriptor,
                     std::shared_ptr<const core::Manifest> manifest, Options options);

    /// What an earlier attempt left and does not belong into this directory is deleted.
    [[nodiscard]] Result<void> open() override;
    /// What is wanted, of the object's bytes.
    [[nodiscard]] ByteRange wanted() const { return manifest_->place(span_); }
    /// Without the directories.
    [[nodiscard]] std::uint64_t files() const;
    [[nodiscard]] ByteCount file_bytes() const;

    [[nodiscard]] Result<void> store(const Piece& piece, ByteView data,
                                     const core::VerifiedRange& hashes) override;

    [[nodiscard]] Result<void> note(const core::RangeSet& verified) override;
    /// A directory that is there is swapped for the new one in one step, and deleted only then.
    [[nodiscard]] Result<void> finish() override;

  private:
    // Syncing costs all files of the file system, and after a kill whole extents are found anyway.
    static constexpr std::uint64_t note_bytes = 64ULL << 20;

    [[nodiscard]] Result<void> check_target() const;
    [[nodiscard]] Result<void> check_stop() const;
    /// To the files whose manifest says when they were changed.
    [[nodiscard]] Result<void> set_times();
    /// Removes from an earlier attempt what is not wanted now, and forgets what is not there.
    [[nodiscard]] Result<void> adopt();
    /// Directories and empty files.
    [[nodiscard]] Result<void> make_tree();
    void take_up_journal();
    void recover();
    /// For what is missing of the files, and so many directories.
    [[nodiscard]] Result<void> check_room(std::size_t directories) const;
    /// Makes it unless it is there.
    [[nodiscard]] Result<core::UniqueFd> open_file(std::size_t index);
    [[nodiscard]] Result<void> write(std::size_t index, std::uint64_t offset, ByteView data);
    /// The path of an entry in the output.
    [[nodiscard]] std::string path_of(std::size_t index) const;

    store::Store& store_;  // owned by the engine's owner
    core::Descriptor descriptor_;
    std::shared_ptr<const core::Manifest> manifest_;
    Options options_;
    core::Manifest::Span span_;
    std::shared_ptr<Folder> inside_;  // the partial one
    core::UniqueFd directory_;        // the same, to be locked and synced
    std::mutex mutex_;
    std::vector<bool> present_;  // of each entry in the span: was made. Guarded by mutex_ once open
    OpenFiles files_;
};

}  // namespace flow29::node
