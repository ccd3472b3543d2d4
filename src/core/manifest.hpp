// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <flow29/directory.hpp>
#include <flow29/error.hpp>

namespace flow29::core {

/// Errc::refused, naming the path and the rule, unless `path` may stand in a directory: relative
/// and normalised (no part is empty, "." or ".."), without control characters and backslashes,
/// within limits::path_bytes_max and limits::path_component_bytes_max.
[[nodiscard]] Result<void> check_path(std::string_view path);

/// The default extent level for a directory: at most 96 extents up to 6 GiB, then 64 MiB each.
/// Rationale: each holder of an extent puts a record of it into the DHT, and 500 of them are to be
/// enough for a directory of 10,000 small files, with its publisher and four copies. What is
/// fetched alone out of it is a range, however large the extent.
[[nodiscard]] unsigned default_directory_level(ByteCount length);

/// What a directory is made of, and where in the object each file lies.
///
///     manifest            | file a     | file b           | file c          content of the object
///     8 octets ‖ msgpack  |            |                  |
///     0 ············ 0 pad 512 · 0 pad 1024 ····· 0 pad 2048 ··· length     chunks
///
/// Files follow one another in the order of their paths, each from the next border of a chunk on,
/// so that no chunk belongs to two of them; the last is not padded, and one without content has no
/// place. Offsets are sums, never transmitted, so that no manifest can lie about them.
///
/// Rules (decoded or made, every manifest keeps them):
/// 1. Paths are as check_path says, in strictly rising order of their octets.
/// 2. No path is also a directory of another one.
/// 3. There is one encoding of each: what does not encode to itself is refused. Rationale: equal
///    trees have one root hash.
/// 4. All files have a time, none before 1970, which makes it version 2; or none has.
class Manifest {
  public:
    /// Octets before the msgpack: its length, big-endian.
    static constexpr std::uint64_t head_bytes = 8;
    /// Entries [first, last).
    struct Span {
        std::size_t first = 0;
        std::size_t last = 0;
        [[nodiscard]] bool empty() const { return first == last; }
    };

    /// An empty directory.
    Manifest() : Manifest(std::vector<DirectoryEntry>()) {}

    /// In any order. Errors: refused (a path, two entries that exclude each other, too many).
    [[nodiscard]] static Result<Manifest> make(std::vector<DirectoryEntry> entries);

    /// How long the manifest is, with its head, by the first head_bytes of an object of
    /// `object_length`. Errc::refused when no directory begins like that.
    [[nodiscard]] static Result<ByteCount> encoded_bytes(ByteView head, ByteCount object_length);
    /// `raw`: exactly encoded_bytes. O(n log n); nothing is allocated for what is not there.
    /// Errc::refused when it breaks a rule or does not fit the object's length.
    [[nodiscard]] static Result<Manifest> decode(ByteView raw, ByteCount object_length);
    /// With its head.
    [[nodiscard]] Bytes encode() const;

    [[nodiscard]] const std::vector<DirectoryEntry>& entries() const { return entries_; }
    /// Where the content of an entry lies in the object; empty for what has none.
    [[nodiscard]] ByteRange place(std::size_t index) const;
    /// From the first file's first octet to the last one's last.
    [[nodiscard]] ByteRange place(Span span) const;
    /// Of the whole object.
    [[nodiscard]] ByteCount object_length() const;

    /// The entry with exactly this path.
    [[nodiscard]] std::optional<std::size_t> find(std::string_view path) const;
    /// What is in the directory `path`, at any depth; everything for an empty path.
    [[nodiscard]] Span below(std::string_view path) const;
    /// How many directories these lie in or are, the one that has them all left out.
    [[nodiscard]] std::size_t directories(Span span) const;
    /// The entry whose content covers this octet of the object, or the first after it; one past the
    /// last when there is none.
    [[nodiscard]] std::size_t at_or_after(ByteCount offset) const;

  private:
    explicit Manifest(std::vector<DirectoryEntry> entries);
    [[nodiscard]] Result<void> check() const;
    [[nodiscard]] Result<void> check_times() const;
    [[nodiscard]] bool has_times() const;
    void place_files(std::uint64_t manifest_bytes);

    std::vector<DirectoryEntry> entries_;
    std::vector<std::uint64_t> offsets_;  // of each entry's content, rising
    std::uint64_t manifest_bytes_ = 0;    // with its head
};

}  // namespace flow29::core
