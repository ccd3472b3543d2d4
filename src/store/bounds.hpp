// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>

/// How many of each thing that peers can make it remember a store keeps.
namespace flow29::store::bounds {

inline constexpr auto orphans_kept = std::chrono::hours(24);  ///< after a catalogue was made anew
inline constexpr unsigned holders_per_item_max = 64;          ///< further ones are left out
inline constexpr unsigned leases_per_root_max = 256;  ///< of different publishers; then refused
inline constexpr unsigned shares_max = 4096;          ///< sums kept; beyond it all are made anew
inline constexpr unsigned node_records_max = 4096;    ///< the least recently seen one goes

}  // namespace flow29::store::bounds
