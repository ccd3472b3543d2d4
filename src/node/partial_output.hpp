// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/range_set.hpp"
#include "node/download.hpp"
#include "node/fetch_journal.hpp"
#include "node/folder.hpp"
#include "store/store.hpp"

namespace flow29::node {

/// Where a fetch writes while it runs: beside its final place, with a durable note of which bytes
/// are verified and synced, so that any crash costs only what came since the last note.
class PartialOutput : public PieceSink {
  public:
    /// Makes it, or takes up an earlier attempt. Blocks. Errors: exists_already, refused (another
    /// fetch writes there), no_space, file_error.
    [[nodiscard]] virtual Result<void> open() = 0;
    /// What is verified by now, in object bytes. On the executor, once open.
    [[nodiscard]] const core::RangeSet& verified() const { return verified_; }
    void deliver(const Piece& piece, core::Buffer& data) override {
        verified_.insert(piece.bytes.first.value, piece.bytes.last.value);
        unnoted_ += data.size();
    }

    /// True when enough has come since the last note that it is worth a sync.
    [[nodiscard]] bool note_due() const { return unnoted_ >= note_bytes_; }
    /// Syncs and notes what is verified; `verified` is a copy taken on the executor. Blocks.
    [[nodiscard]] virtual Result<void> note(const core::RangeSet& verified) = 0;
    void on_noted() { unnoted_ = 0; }
    /// As `note`, when nothing more will come; where nothing came, the room that was taken for it
    /// is given back. Blocks.
    [[nodiscard]] virtual Result<void> leave(const core::RangeSet& verified) {
        return note(verified);
    }

    /// Syncs, moves it into place and forgets the notes. Blocks.
    [[nodiscard]] virtual Result<void> finish() = 0;

  protected:
    /// `path` is the final place, in `folder` or, if that is null, where it says; a sync is worth
    /// it every `note_bytes`.
    PartialOutput(const std::filesystem::path& path, std::shared_ptr<Folder> folder,
                  std::uint64_t note_bytes)
        : place_(place_in(path, std::move(folder))),
          partial_name_(partial_name(place_.name)),
          partial_(path.parent_path() / partial_name_),
          journal_(NamedPlace{place_.folder, journal_name(place_.name)}),
          note_bytes_(note_bytes) {}

    /// Has the notes say `verified` and no more, if they said `noted`. What an output lost must not
    /// count again when the place where it was is filled by something else, or is a hole.
    [[nodiscard]] static Result<void> correct(store::Store& store, const RootHash& root,
                                              const std::filesystem::path& notes,
                                              const core::RangeSet& noted,
                                              const core::RangeSet& verified) {
        if (noted == verified) return {};
        return verified.empty() ? store.end_fetch(root, notes)
                                : store.set_fetch_progress(root, notes, verified);
    }

    NamedPlace place_;               // of the final place
    std::string partial_name_;       // in the same folder
    std::filesystem::path partial_;  // the same for people, and for notes
    core::RangeSet verified_;
    FetchJournal journal_;

  private:
    std::uint64_t note_bytes_;
    std::uint64_t unnoted_ = 0;
};

}  // namespace flow29::node
