// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstddef>

#include <flow29/error.hpp>

/// What the encoder and the decoder of messages must agree on.
namespace flow29::proto::wire {

/// An ItemId is one octet string: its kind, then its hash.
inline constexpr std::size_t item_bytes = 33;

/// Why a Failure: the position is the number on the wire, so append only. Others travel as `other`.
inline constexpr std::array failure_codes{
    Errc::other,   Errc::peer_lacks, Errc::peer_busy,
    Errc::refused, Errc::no_space,   Errc::peer_misbehaved,
};

}  // namespace flow29::proto::wire
