// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <span>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

namespace flow29::node {

/// What a source that is not the same any more is answered with.
inline constexpr const char* changed_text =
    "the source changed while it was being read; publish it again";

/// The content of an object before it has a name: a file, or a directory in the form in which it is
/// published. Reads may come from several threads at once; all functions block on the disk.
class Source {
  public:
    virtual ~Source() = default;
    [[nodiscard]] virtual ObjectKind kind() const = 0;
    [[nodiscard]] virtual ByteCount length() const = 0;
    /// Reads exactly [offset, offset + out.size()), which must lie within the length. Errors:
    /// file_error; refused when the source changed.
    [[nodiscard]] virtual Result<void> read(std::uint64_t offset,
                                            std::span<std::uint8_t> out) const = 0;
    /// Errc::refused when it is not what it was at first any more: what was read is then of no use.
    [[nodiscard]] virtual Result<void> check_unchanged() const = 0;
};

/// What is said of a file that was to be published with its time.
inline constexpr const char* no_time_text =
    "a file's hash is that of its content alone; only a directory can have times";

/// A regular file or a directory; `fd` is the caller's and outlives the source. `has_times`: see
/// DirectorySource. Errors: usage when it is neither, or a file that was to have a time;
/// file_error; refused when something in the directory cannot be published, naming it.
[[nodiscard]] Result<std::unique_ptr<Source>> open_source(int fd, bool has_times);

/// Reads exactly [offset, offset + out.size()) of `fd`. Errc::file_error, or Errc::refused when the
/// file ends before that.
[[nodiscard]] Result<void> read_exactly(int fd, std::uint64_t offset, std::span<std::uint8_t> out);

}  // namespace flow29::node
