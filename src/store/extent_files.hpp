// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <atomic>
#include <filesystem>
#include <span>
#include <unordered_set>
#include <vector>

#include <flow29/error.hpp>
#include "store/store.hpp"

namespace flow29::store {

/// The larger extents of a data directory, one file each:
///
///     extents/ab/ab34…   whole and synced before any row names it
///     tmp/17             being written; worthless after a crash
///
/// Order, without which a renamed file may be empty after a power cut: write, sync the file,
/// rename, sync the directory, and only then commit the row. Safe from any thread.
class ExtentFiles {
  public:
    explicit ExtentFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}

    /// Makes the folders and empties tmp/.
    [[nodiscard]] Result<void> prepare();
    [[nodiscard]] std::filesystem::path path_of(const ExtentHash& hash) const;

    /// Durable when it returns. The disk is kept busy with all of them before the first wait. After
    /// an error some may be there and some not.
    [[nodiscard]] Result<void> write(std::span<const NewExtent* const> extents);
    void remove(const ExtentHash& hash);
    [[nodiscard]] bool has(const ExtentHash& hash) const;
    /// Whether there is a file of any extent.
    [[nodiscard]] bool any() const;
    /// Those of which there is a file, whatever is in it.
    [[nodiscard]] std::vector<ExtentHash> all() const;
    /// Deletes the files of extents that are not in `wanted`; how many.
    [[nodiscard]] Result<std::uint64_t> remove_except(const std::unordered_set<ExtentHash>& wanted);

  private:
    [[nodiscard]] Result<void> write_some(std::span<const NewExtent* const> extents);
    [[nodiscard]] Result<void> make_folder(unsigned number);
    [[nodiscard]] Result<void> rename_into(unsigned number, const std::filesystem::path& from,
                                           const std::filesystem::path& to);
    [[nodiscard]] std::filesystem::path folder_of(unsigned number) const;

    static constexpr unsigned folders = 256;  // by the first octet of the hash

    std::filesystem::path directory_;
    std::atomic<std::uint64_t> next_temporary_{0};
    std::array<std::atomic<bool>, folders> folder_is_durable_{};
};

}  // namespace flow29::store
