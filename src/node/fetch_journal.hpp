// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include <flow29/ids.hpp>

#include "core/range_set.hpp"
#include "core/unique_fd.hpp"
#include "node/folder.hpp"

namespace flow29::node {

/// What a kill would lose of a fetch: which bytes were verified and written since the last durable
/// note. A file beside the output, to which each piece is appended once it is written. Its header
/// is synced before anything is written to the output, its records never are.
///
///     header: "F29JRNL2" | device | inode | origin | root | boot id (36 octets) | CRC-32C
///     record: first byte | last byte (exclusive) | CRC-32C of the hashes of the chunks that these
///             bytes are cut into, from the first on | CRC-32C of the record
///
/// A killed process leaves the system's cache as it is, so the journal is then exact. After a power
/// cut it may name what never came to the disk: it counts only if the machine has not started anew
/// since, the output is the same file, and its bytes have the hashes that they had: so what
/// somebody changed meanwhile is fetched again. Against whoever can write both no checksum helps; a
/// file of another user's is not used.
///
/// The header says whose bytes the output has. Durable notes of another object, or of another first
/// byte, must not count once something else was written there: see `is_of`.
class FetchJournal {
  public:
    /// Whose journal it is.
    struct Witness {
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
        std::uint64_t origin = 0;  ///< which byte of the object the output begins with
        RootHash root;
        std::string boot_id;  ///< empty: unknown, and nothing is kept

        bool operator==(const Witness&) const = default;
    };
    /// Of an open output, in this run of the machine.
    [[nodiscard]] static Witness witness_of(int fd, const RootHash& root, ByteCount origin);

    explicit FetchJournal(const std::filesystem::path& path) : FetchJournal(place_in(path)) {}
    explicit FetchJournal(NamedPlace place) : place_(std::move(place)) {}

    /// Whether the last that was written to the output was of this object, from this byte on. False
    /// when there is no journal: then nobody knows. Blocks; before `open`.
    [[nodiscard]] bool is_of(const RootHash& root, ByteCount origin) const;

    /// Fills `out` with the output's bytes from `first` of the object on; false when it cannot.
    using ReadFn = std::function<bool(std::uint64_t first, std::span<std::uint8_t> out)>;

    /// Takes up an earlier journal of the same output, or begins one; what the earlier one says and
    /// `read` confirms, but for what is in `known`. Where no journal can be kept there is none, and
    /// a kill costs more. Blocks; before `add`.
    [[nodiscard]] core::RangeSet open(const Witness& witness, const core::RangeSet& known,
                                      const ReadFn& read);
    /// These bytes from `first` of the object on are verified and written; not more than
    /// limits::range_bytes_max. `leaves` are the hashes of the whole chunks among them, or more,
    /// when they are known. Any thread; does not wait for the disk.
    void add(std::uint64_t first, ByteView bytes, std::span<const ChunkHash> leaves = {});
    /// The output is whole: deletes the file.
    void remove();

  private:
    /// Owns nothing when it is not a file of the folder's user's own.
    [[nodiscard]] core::UniqueFd open_file(int flags) const;

    NamedPlace place_;
    core::UniqueFd fd_;
};

}  // namespace flow29::node
