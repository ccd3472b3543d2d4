// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/endpoint.hpp"

namespace flow29::dht {

/// A datagram that came.
struct Arrival {
    std::size_t octets = 0;
    core::Endpoint from;
    core::Endpoint at;  ///< the address of this machine that it was sent to
};

/// Has the system say at which address each datagram comes. False when it will not.
[[nodiscard]] bool note_arrivals(int socket, bool is_v4);

/// Receives one datagram without waiting; `bound` is where the socket is bound, "any" included.
/// Nothing when none is there, or when the system reports something else.
[[nodiscard]] std::optional<Arrival> receive_arrival(int socket, std::span<std::uint8_t> buffer,
                                                     const core::Endpoint& bound);

}  // namespace flow29::dht
