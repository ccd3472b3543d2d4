// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include <flow29/ids.hpp>
#include "core/time.hpp"
#include "proto/download_planner.hpp"
#include "proto/extent_set.hpp"

namespace flow29::proto {

/// Bytes per second while there was something to deliver, the recent past counting most.
class RateEstimate {
  public:
    /// `bytes` came `busy` after the previous ones, or after being asked if nothing was in flight.
    void add(ByteCount bytes, Duration busy);
    /// Nothing before the first `add`.
    [[nodiscard]] std::optional<double> per_second() const;

  private:
    double bytes_ = 0;
    double seconds_ = 0;
};

/// What a DownloadPlanner knows of one peer and has asked of it.
class DownloadPeer {
  public:
    using PieceId = DownloadPlanner::PieceId;
    struct Asked {
        PieceId piece;
        ByteCount bytes;
    };

    DownloadPeer(const NodeId& id, std::uint64_t extents, const DownloadPlanner::Options& options)
        : id_(id),
          holds_(extents),
          lacks_(extents),
          ramp_(options.pieces_min),
          allowance_(options.pieces_min),
          stall_limit_(options.stall_min) {}

    [[nodiscard]] const NodeId& id() const { return id_; }

    void add() { added_ = ever_added_ = true; }
    void remove() { added_ = false; }
    void ban() { banned_ = true; }
    /// Not asked for a while, twice as long each time until it delivers.
    void pause(Duration pause_min, TimePoint now);
    [[nodiscard]] bool ever_added() const { return ever_added_; }
    [[nodiscard]] bool banned() const { return banned_; }
    [[nodiscard]] bool usable() const { return added_ && !banned_; }
    [[nodiscard]] TimePoint paused_until() const { return paused_until_; }

    void set_holds(ExtentIndex extent);
    void set_holds_all();
    void guess_holds(ExtentIndex extent);
    void set_lacks(ExtentIndex extent);
    [[nodiscard]] const ExtentSet& holds() const { return holds_; }
    [[nodiscard]] bool is_guess(ExtentIndex extent) const { return guessed_.contains(extent); }

    /// It was said to hold it, be it that it did not.
    [[nodiscard]] bool promised(ExtentIndex extent) const {
        return lacks_.contains(extent) || (holds_.contains(extent) && !is_guess(extent));
    }

    void ask(PieceId piece, ByteCount bytes, TimePoint now);
    /// Ends an asking; false when there is none.
    bool settle(PieceId piece);
    /// `bytes` of a piece came, of pieces that are of `piece_bytes` as a rule. Must be called
    /// before the piece is settled.
    void on_delivered(ByteCount bytes, ByteCount piece_bytes,
                      const DownloadPlanner::Options& options, TimePoint now);
    /// In the order asked.
    [[nodiscard]] const std::vector<Asked>& asked() const { return asked_; }

    /// A part of a piece came.
    void on_heard(TimePoint now) { heard_at_ = now; }
    /// When it has been silent for long enough to be hedged: rule 4. Requires something in flight.
    [[nodiscard]] TimePoint stalled_at() const { return std::max(mark_, heard_at_) + stall_limit_; }
    [[nodiscard]] bool is_silent(TimePoint now) const {
        return !asked_.empty() && stalled_at() <= now;
    }
    /// Usable, not paused, not silent, and with a free slot.
    [[nodiscard]] bool may_be_asked(TimePoint now) const {
        if (asked_.size() >= allowance_ || !usable() || now < paused_until_) return false;
        return !is_silent(now);
    }
    /// Seconds until it would have delivered `more` after all that is in flight.
    [[nodiscard]] double finish_s(ByteCount more, double rate_if_unknown) const;
    /// When `asked()[position]` should be here by its rate, or was asked if there is no rate.
    [[nodiscard]] TimePoint expected_at(std::size_t position) const;

    [[nodiscard]] std::optional<double> rate() const { return rate_.per_second(); }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    /// The planner's epoch in which it found nothing to ask of this peer; 0 for none.
    std::uint64_t nothing_in_epoch = 0;

  private:
    NodeId id_;
    ExtentSet holds_;
    ExtentSet lacks_;
    std::set<ExtentIndex> guessed_;  // among holds_
    bool added_ = false;
    bool ever_added_ = false;
    bool banned_ = false;
    TimePoint paused_until_ = TimePoint::min();
    unsigned pauses_ = 0;
    unsigned ramp_;          // at most this many pieces in flight as yet
    std::size_t allowance_;  // pieces it may have in flight: rule 2
    Duration stall_limit_;
    RateEstimate rate_;
    std::uint64_t bytes_ = 0;
    std::vector<Asked> asked_;
    ByteCount asked_bytes_;
    TimePoint mark_;      // of the last delivery, or since when something is in flight
    TimePoint heard_at_;  // when a part of something came last
};

}  // namespace flow29::proto
