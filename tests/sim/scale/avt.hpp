// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <istream>
#include <vector>

#include <flow29/error.hpp>
#include "core/time.hpp"

namespace flow29::sim::scale {

/// When each node of a measured network was up.
struct AvtTrace {
    struct Interval {
        Duration start;  ///< since the first start in the trace
        Duration end;
        bool operator==(const Interval&) const = default;
    };
    /// In order, with a gap between any two; no node is without any.
    std::vector<std::vector<Interval>> nodes;
    Duration length{};  ///< the last end in the trace
};

/// Reads an availability trace as Godfrey's Repository of Availability Traces has them:
///
///     # a comment
///     NODE SESSIONS START END START END …
///
/// A line a node: its name, the number of its sessions, and as many pairs of times in seconds,
/// ascending. A node that is never up is left out; sessions that touch are one.
/// Errc::usage names the line that is not so; a trace without any node is not one.
[[nodiscard]] Result<AvtTrace> read_avt(std::istream& in);

}  // namespace flow29::sim::scale
