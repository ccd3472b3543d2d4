// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <span>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

namespace flow29::store {

/// An open file descriptor, closed on destruction. Errors are file_error or no_space with the
/// system's words, unless a function says otherwise.
class File {
  public:
    /// `flags` as for open(2); O_CLOEXEC is added. New files get mode 0600.
    [[nodiscard]] static Result<File> open(const std::filesystem::path& path, int flags);
    /// For content that may have been tampered with or lost: Errc::corrupt_store when `path` is not
    /// there or not a regular file, file_error when only this attempt failed.
    [[nodiscard]] static Result<File> open_content(const std::filesystem::path& path);

    ~File();
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;

    [[nodiscard]] int descriptor() const { return descriptor_; }
    [[nodiscard]] Result<void> write_all(ByteView data);
    /// Writes one after the other, past the page cache as far as that is possible: for what is not
    /// soon read again. What was written before must end on a page border. Requires that nobody
    /// else has the descriptor.
    [[nodiscard]] Result<void> write_past_cache(std::span<const ByteView> parts);
    /// Starts writing to the disk what the system holds back, without waiting.
    void start_writeback();
    [[nodiscard]] Result<void> sync();
    /// Fills `out` from `offset`; Errc::corrupt_store when the file ends before, or the disk cannot
    /// read it.
    [[nodiscard]] Result<void> read_exactly(ByteCount offset, std::span<std::uint8_t> out) const;
    /// The same, and what the system has to fetch from the disk for that, it is not to keep in
    /// memory, as far as that is possible: for what is hardly read again. Requires that nobody else
    /// has the descriptor.
    [[nodiscard]] Result<void> read_past_cache(ByteCount offset, std::span<std::uint8_t> out) const;
    /// The system need not keep this part in memory: the next read of it is one of the disk, unless
    /// it has not been written there yet.
    void forget_cached(ByteCount offset, ByteCount length) const;

  private:
    File(int descriptor, std::filesystem::path path)
        : descriptor_(descriptor), path_(std::move(path)) {}

    int descriptor_ = -1;
    std::filesystem::path path_;
};

/// Makes the names in `directory` durable.
[[nodiscard]] Result<void> sync_directory(const std::filesystem::path& directory);
/// Makes `directory` with mode 0700 unless it is there. Its parent must be.
[[nodiscard]] Result<void> make_directory(const std::filesystem::path& directory);
/// What unprivileged writers may still fill, and the size, of the file system under `path`.
struct DiskSpace {
    ByteCount free;
    ByteCount total;
};
[[nodiscard]] Result<DiskSpace> disk_space(const std::filesystem::path& path);

/// The exclusive right to a data directory, given back when destroyed or when the process ends.
class DirectoryLock {
  public:
    /// Errc::locked, naming the holder's process id when it is known.
    [[nodiscard]] static Result<DirectoryLock> acquire(const std::filesystem::path& file);

  private:
    explicit DirectoryLock(File file) : file_(std::move(file)) {}
    File file_;
};

}  // namespace flow29::store
