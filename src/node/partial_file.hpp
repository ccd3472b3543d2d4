// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "core/descriptor.hpp"
#include "core/file_key.hpp"
#include "core/range_set.hpp"
#include "node/partial_output.hpp"
#include "store/store.hpp"

namespace flow29::node {

/// A file while it is fetched: `PATH.flow29-part` beside the final place, written at offsets.
class PartialFile : public PartialOutput {
  public:
    struct Options {
        std::filesystem::path path;  ///< final place
        RootHash root;
        ByteRange range;  ///< of the object; its first byte is the file's first
        bool overwrite = false;
        bool share = false;  ///< gather what references to the finished file need
        bool executable = false;
        std::optional<FileTime> modified{};  ///< if it is to say when it was changed
        std::optional<core::FileKey> key{};  ///< of a private object: it comes decrypted
        std::shared_ptr<Folder> folder{};    ///< that `path` is in; null: this process's own
        std::stop_token stop{};              ///< ends the reading of what is there already
    };

    /// Requires `store` and `descriptor` to outlive it.
    PartialFile(store::Store& store, const core::Descriptor& descriptor, Options options);
    ~PartialFile() override;
    PartialFile(const PartialFile&) = delete;
    PartialFile& operator=(const PartialFile&) = delete;

    [[nodiscard]] Result<void> open() override;

    [[nodiscard]] Result<void> store(const Piece& piece, ByteView data,
                                     const core::VerifiedRange& hashes) override;
    void deliver(const Piece& piece, core::Buffer& data) override;

    [[nodiscard]] Result<void> note(const core::RangeSet& verified) override;
    [[nodiscard]] Result<void> leave(const core::RangeSet& verified) override;
    [[nodiscard]] Result<void> finish() override;

    /// References for every extent that is whole in it; those that came in an earlier attempt are
    /// read once more. After finish; blocks.
    [[nodiscard]] std::vector<store::ExtentReference> references() const;
    /// Whether the node can read it where it lies. After finish; blocks.
    [[nodiscard]] bool is_readable() const { return is_readable_at(options_.path, fd_); }
    /// Puts a copy of every extent that is whole in it into the store. After finish; blocks.
    /// Errors: no_space, file_error; corrupt_store when the file was changed meanwhile.
    [[nodiscard]] Result<void> copy_into_store() const;

  private:
    static constexpr std::uint64_t note_bytes = 16ULL << 20;
    struct Seen {
        std::vector<TreeHash> group_hashes;
        std::vector<std::uint32_t> checksums;
        std::uint64_t bytes = 0;
    };

    /// The whole room of what is large, what is there already included, before the first byte.
    /// Errors: no_space.
    [[nodiscard]] Result<void> take_room() const;
    /// Under which name progress is noted: where the object's bytes lie in the output depends on
    /// which is the first.
    [[nodiscard]] std::filesystem::path notes() const;
    [[nodiscard]] Result<void> write(ByteView data, std::uint64_t offset);
    /// What a reference to an extent needs; nothing if the file was changed.
    [[nodiscard]] std::optional<Seen> look_at(ExtentIndex extent) const;
    /// Takes up extents that are whole in the file though no note says so: a killed process leaves
    /// what it wrote since its last note, and hashing that is cheaper than fetching it again.
    void recover(ByteCount end);

    store::Store& store_;                 // owned by the engine's owner
    const core::Descriptor& descriptor_;  // owned by the caller
    Options options_;
    int fd_ = -1;
    int direct_fd_ = -1;  // past the page cache; none where the file system cannot
    std::mutex write_mutex_;
    std::mutex mutex_;
    std::map<std::uint64_t, Seen> seen_;  // guarded by mutex_
};

}  // namespace flow29::node
