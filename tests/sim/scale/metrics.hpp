// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/time.hpp"

namespace flow29::sim::scale {

/// A part of a run over which things are added up.
struct Window {
    TimePoint from;
    TimePoint to;

    [[nodiscard]] bool contains(TimePoint at) const { return at >= from && at < to; }
    [[nodiscard]] Duration overlap(TimePoint begin, TimePoint end) const;
};

/// What happened within a window.
struct Totals {
    Window window;
    double extent_seconds = 0;
    double none_seconds = 0;   ///< extent-time without any live copy
    double under_seconds = 0;  ///< extent-time under the wanted number of live copies
    double node_seconds = 0;   ///< of all nodes, up or not
    double up_seconds = 0;
    double link_seconds = 0;    ///< ends of connections: two for each
    std::uint64_t outages = 0;  ///< times an extent lost its last live copy
    std::uint64_t copies_made = 0;
    std::uint64_t copies_lost = 0;    ///< with their disk, or by rot
    std::uint64_t oracle_copies = 0;  ///< what an oracle would have made; see Truth
    std::uint64_t invitations = 0;
    std::uint64_t puts = 0;
    std::uint64_t lookups = 0;
    std::uint64_t joins = 0;           ///< times a node came up
    std::vector<float> under_lengths;  ///< of the times under the wanted number, in seconds
};

/// The largest number of something in one minute.
class Burst {
  public:
    void count(TimePoint now);
    [[nodiscard]] std::uint64_t largest() const { return largest_; }

  private:
    std::int64_t minute_ = -1;
    std::uint64_t in_minute_ = 0;
    std::uint64_t largest_ = 0;
};

/// What is so, whatever any node believes: how many live copies each extent has. Integrates over
/// the windows as it goes.
///
/// The oracle knows who will return. It keeps as many stored copies of each extent as are wanted
/// alive, and makes one for each that is lost for good: no system that repairs can make fewer.
class Truth {
  public:
    Truth(std::size_t extents, unsigned wanted, std::vector<Window> windows);

    void on_copy_live(std::uint32_t extent, TimePoint now);
    void on_copy_away(std::uint32_t extent, TimePoint now);
    void on_copy_stored(std::uint32_t extent) { ++extents_[extent].stored; }
    void on_copy_lost(std::uint32_t extent, TimePoint now);
    void on_nodes_changed(std::size_t nodes, std::size_t up, std::size_t links, TimePoint now);

    /// Adds one to a count in every window that has `now` in it.
    void count(std::uint64_t Totals::*what, TimePoint now, std::uint64_t by = 1);
    void count_put(TimePoint now);
    void count_copy(TimePoint now);

    /// Ends all that is under way. What is under way for longer than that is left out of
    /// under_lengths, and no other is.
    void finish(TimePoint now);

    [[nodiscard]] const std::vector<Totals>& totals() const { return totals_; }
    [[nodiscard]] unsigned live(std::uint32_t extent) const { return extents_[extent].live; }
    [[nodiscard]] unsigned stored(std::uint32_t extent) const { return extents_[extent].stored; }
    [[nodiscard]] std::size_t extents() const { return extents_.size(); }
    [[nodiscard]] std::uint64_t most_puts_a_minute() const { return puts_.largest(); }
    [[nodiscard]] std::uint64_t most_copies_a_minute() const { return copies_.largest(); }

  private:
    struct Extent {
        unsigned live = 0;
        unsigned stored = 0;
        TimePoint under_since{};
        TimePoint none_since{};
    };
    void end_none(const Extent& extent, TimePoint now);
    void end_under(const Extent& extent, TimePoint now, bool is_back);
    void integrate(TimePoint now);

    unsigned wanted_;
    std::vector<Extent> extents_;
    std::vector<Totals> totals_;
    std::size_t nodes_ = 0;
    std::size_t up_ = 0;
    std::size_t links_ = 0;
    TimePoint integrated_to_{};
    Burst puts_;
    Burst copies_;
};

}  // namespace flow29::sim::scale
