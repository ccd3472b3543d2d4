// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "proto/download_peer.hpp"
#include "proto/download_planner.hpp"
#include "proto/piece_map.hpp"

namespace flow29::proto {

/// A piece's id says which chunks it is, so an answer that comes late still has its meaning.
[[nodiscard]] DownloadPlanner::PieceId id_of(ChunkRange piece);
[[nodiscard]] ChunkRange chunks_of(DownloadPlanner::PieceId id);

/// What a DownloadPlanner knows, and the choice of the next request.
struct DownloadPlanner::State {
    struct InFlight {
        ChunkRange chunks;
        std::vector<std::size_t> peers;  // positions of those asked, askings_max at most
        bool done = false;               // verified; the other askings are still to end
    };
    struct Choice {
        PieceId piece;
        std::size_t peer;
    };
    /// A second asking that is due, or when one may become due.
    struct Rescue {
        std::optional<Choice> choice;
        std::optional<TimePoint> later;

        void consider(TimePoint time) {
            if (!later || time < *later) later = time;
        }
    };

    State(core::Layout layout, ByteRange want, const core::RangeSet& have, const Options& o);

    DownloadPeer* find(const NodeId& id);
    DownloadPeer* find_or_enter(const NodeId& id);
    [[nodiscard]] std::vector<std::size_t> who_may_be_asked(TimePoint now) const;
    [[nodiscard]] double typical_rate() const;
    [[nodiscard]] std::optional<ChunkRange> first_unasked(const DownloadPeer& peer) const;
    [[nodiscard]] std::optional<ChunkRange> first_of(const ExtentSet& held) const;
    [[nodiscard]] std::optional<ChunkRange> first_in_window(const DownloadPeer& peer) const;
    [[nodiscard]] bool may_be_rescued(PieceId piece) const;
    [[nodiscard]] bool can_rescue(PieceId piece, TimePoint now) const;
    [[nodiscard]] std::optional<Choice> best_helper(PieceId piece,
                                                    const std::vector<std::size_t>& helpers) const;
    [[nodiscard]] std::optional<Choice> choose_new(TimePoint now);
    [[nodiscard]] std::optional<PieceId> awaited_guess(const DownloadPeer& peer,
                                                       TimePoint now) const;
    [[nodiscard]] Rescue find_hedge(TimePoint now) const;
    [[nodiscard]] std::vector<std::size_t> idle_helpers(TimePoint now) const;
    [[nodiscard]] bool is_work_left(TimePoint now);
    [[nodiscard]] Rescue find_takeover(TimePoint now);
    Request ask(const Choice& choice, TimePoint now);
    void release(std::size_t peer, PieceId piece);
    void release_all(std::size_t peer);
    [[nodiscard]] ExtentSet unfinished() const;
    /// The bytes of these chunks that the download is for, here already or not.
    [[nodiscard]] ByteCount wanted_of(ChunkRange chunks) const;

    static constexpr std::uint16_t nobody = 0xffff;

    Options options;
    PieceMap pieces;
    std::vector<DownloadPeer> peers;
    std::unordered_map<NodeId, std::size_t> position;  // in `peers`
    std::map<PieceId, InFlight> in_flight;             // so also by offset
    std::size_t askings = 0;
    ByteCount verified;
    ByteCount duplicated;
    ByteCount consumed;
    ChunkIndex start_chunk;
    ByteCount begin_max{~std::uint64_t{0}};
    ExtentSet begun;  // and not taken
    ByteCount begun_bytes;
    ExtentSet dropped;
    std::vector<std::uint16_t> delivered_by;  // of each extent, the position of a peer, or nobody
    std::uint64_t epoch = 1;  // goes up when there may be something for a peer that got nothing
};

}  // namespace flow29::proto
