// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include <flow29/limits.hpp>
#include "core/layout.hpp"
#include "core/range_set.hpp"
#include "core/time.hpp"

namespace flow29::proto {

/// Decides which peer to ask for which chunk range next, for one object.
///
/// The wanted bytes are cut into pieces: runs of chunks of one extent, at most
/// limits::range_bytes_max, on borders of the stored tree's groups, so that a holder proves them
/// without hashing. Of a small download, or a small window, pieces are smaller, so that several
/// holders share it. The partition (proto::PieceMap) never changes during a download.
///
/// Rules:
/// 1. A piece is asked of a peer only if the peer is said, or guessed, to hold its extent and has
///    not answered that it lacks it. A guess that turns out wrong is forgotten: what is said later
///    counts.
/// 2. A peer has in flight what it delivers in `horizon` (rate × horizon, at least `pieces_min`, at
///    most `pieces_max`): fast holders get more, slow ones less, and a queue never hides a stall.
///    A new peer starts with `pieces_min`, and the most it may get doubles with each piece it
///    delivers. Of the peers with a free slot, the one that would be done first is asked first.
/// 3. Order: with `in_order`, lowest offset first and nothing that ends further than `window` ahead
///    of what was consumed, except the piece at that very place. Otherwise lowest first too, but
///    beginning at `start_at` and wrapping around, so that nodes that pull the same thing pull
///    different parts and can trade.
/// 4. Hedging: a peer from which nothing at all has come (on_heard) for max(`stall_min`, 4 × its
///    usual time for a piece) is silent. A piece that only silent peers are asked for may be asked
///    of one more, `askings_max` in all; the first answer wins. With `in_order` that comes before
///    what is unasked, otherwise after it. A silent peer gets nothing new.
///    Rationale: a frozen holder keeps its TCP connection open for ever.
///    With `in_order` the piece at the reading position is asked of a second peer at once while the
///    first one is only guessed to hold it: a reader waits for that one.
/// 5. End-game: when nothing is unasked (in the window) that a peer in working order holds, a peer
///    with nothing in flight takes over a piece that it would finish in less than half the time its
///    present peer still needs, and `takeover_saves_min` sooner; of two who are asked for one,
///    only if both are silent. The time a peer still needs is what its rate says; once that has
///    passed, as long again as it is overdue.
/// 6. A peer that lied is never asked again. One that was unreachable, timed out or busy has all
/// its
///    pieces given back and is used again after a pause that doubles, until it delivers. One that
///    lacks an extent is not asked for that extent, whatever is said about it later.
/// 7. Of an extent of which nothing was asked yet, something is asked only while the extents begun
///    and not taken (on_taken) have room for it under `begin_max`.
///    Rationale: what is put together in memory has to fit there.
/// 8. Nothing is asked twice because somebody left: what was verified stays. A piece that comes
///    although its asking was given back counts.
///
/// O(log pieces + extents / 64 + peers) a decision; a peer for which there was nothing is not
/// looked at again before pieces were given back, the window moved, or it was said to hold more.
class DownloadPlanner {
  public:
    static constexpr std::size_t askings_max = 4;  ///< of one piece at a time

    struct Options {
        bool in_order = false;
        ByteCount window{16ULL * 1024 * 1024};
        std::uint64_t start_at = 0;  ///< a byte offset; any value, taken modulo the length
        ByteCount piece_bytes_max{limits::range_bytes_max};  ///< not below one checksum block
        unsigned pieces_min = 2;
        unsigned pieces_max = 16;
        Duration horizon = std::chrono::milliseconds(400);
        Duration stall_min = std::chrono::seconds(2);
        Duration pause_min = std::chrono::seconds(1);
        Duration takeover_saves_min = Duration::zero();
    };
    enum class PieceId : std::uint64_t {};
    struct Request {
        NodeId peer;
        PieceId piece;
        ExtentIndex extent;
        ChunkRange chunks;  ///< within the extent
        ByteRange bytes;    ///< within the object
    };
    enum class Blame : std::uint8_t {
        lied,         ///< a proof failed
        lacks,        ///< does not hold the extent
        unreachable,  ///< the connection ended or timed out
        busy,         ///< asked us to come back later
        ours,         ///< no fault of the peer (local disk, cancelled)
    };
    struct PeerStatus {
        NodeId peer;
        double rate = 0;  ///< bytes per second, estimated
        std::uint64_t bytes = 0;
        std::size_t in_flight = 0;
        bool banned = false;
    };

    /// Wants the chunks that cover `want`, apart from those wholly within `have`, which is in bytes
    /// of the object. What lies beyond its end is not wanted.
    DownloadPlanner(core::Layout layout, ByteRange want, const core::RangeSet& have,
                    Options options);
    ~DownloadPlanner();
    DownloadPlanner(DownloadPlanner&&) noexcept;

    /// A peer can be asked. It holds nothing until said so.
    void add_peer(const NodeId& peer, TimePoint now);
    /// Its connection ended: its pieces are given back; what it holds is remembered.
    void remove_peer(const NodeId& peer, TimePoint now);
    /// `peer`, added or not yet, is said to hold an extent, or all of them. Ignored for an extent
    /// that the object does not have.
    void set_holds(const NodeId& peer, ExtentIndex extent);
    void set_holds_all(const NodeId& peer);
    /// Nobody said so, but it probably holds the extent.
    void guess_holds(const NodeId& peer, ExtentIndex extent);

    /// The next request to send now, if any; it counts as sent.
    [[nodiscard]] std::optional<Request> poll_request(TimePoint now);
    /// A verified piece came. False when it was there already (a hedge that lost): discard it.
    [[nodiscard]] bool on_piece(PieceId piece, const NodeId& peer, TimePoint now);
    /// A part of what was asked of `peer` came: it is not silent.
    void on_heard(const NodeId& peer, TimePoint now);
    /// A request ended without a verified piece. Ignored, but for a lie, when it had been given
    /// back.
    void on_failure(PieceId piece, const NodeId& peer, Blame blame, TimePoint now);
    /// In order only: the consumer has taken everything before `offset`; the window moves.
    void on_consumed(ByteCount offset);

    /// Rule 7; at first there is no such bound.
    void set_begin_max(ByteCount begin_max);
    /// A whole extent is no longer in the caller's memory.
    void on_taken(ExtentIndex extent);
    /// Lengths of the extents begun and not taken.
    [[nodiscard]] ByteCount begun() const;
    /// An extent is wanted no longer; of what was asked, the answers still count.
    void drop(ExtentIndex extent);

    /// When poll_request may next have something, without further events.
    [[nodiscard]] std::optional<TimePoint> next_deadline(TimePoint now) const;
    [[nodiscard]] bool done() const;
    /// Bytes wanted (what was in `have`, or dropped, is not), and of these the verified ones.
    [[nodiscard]] ByteCount wanted() const;
    [[nodiscard]] ByteCount verified() const;
    /// Extents with unverified pieces, asked or not, in order. O(extents / 64 + result).
    [[nodiscard]] std::vector<ExtentIndex> unfinished() const;
    /// Extents with unverified pieces that no usable peer is said to hold, or only silent ones:
    /// find more holders for these. O(extents × peers / 64).
    [[nodiscard]] std::vector<ExtentIndex> starved(std::size_t count_max, TimePoint now) const;
    /// Somebody was said, and not only guessed, to hold it, whatever became of that. O(peers).
    [[nodiscard]] bool was_promised(ExtentIndex extent) const;
    /// Those that are silent: rule 4.
    [[nodiscard]] std::vector<NodeId> silent(TimePoint now) const;
    [[nodiscard]] bool is_banned(const NodeId& peer) const;
    /// Added and not banned; also those that pause.
    [[nodiscard]] std::size_t usable_peers() const;
    /// Requests not yet answered.
    [[nodiscard]] std::size_t in_flight() const;
    /// Everybody who was ever added.
    [[nodiscard]] std::vector<PeerStatus> peers() const;
    /// Neighbouring extents, seen as one.
    struct Cell {
        ByteCount wanted;
        ByteCount missing;         ///< of these, not verified
        std::size_t holders = 0;   ///< usable, and said to hold it; of the extent with the fewest
        std::optional<NodeId> by;  ///< who delivered a piece of it last
    };
    /// All extents in order, in at most `count_max` cells of equally many. What was in `have` is
    /// not missing. O(extents × peers + runs).
    [[nodiscard]] std::vector<Cell> cells(std::size_t count_max) const;
    /// Bytes that arrived twice, because of hedging.
    [[nodiscard]] ByteCount duplicated() const;

    void check_invariants() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace flow29::proto
