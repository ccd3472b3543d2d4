// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <flow29/ids.hpp>

namespace flow29::dht {

enum class DatagramKind { ping, find, get, put, reply, error };

/// What the guard learnt about a datagram it lets through.
struct GuardedDatagram {
    DatagramKind kind = DatagramKind::ping;
    bool from_client = false;   ///< the sender asks not to be a neighbour
    std::size_t id_offset = 0;  ///< of the sender's id, 20 octets
    /// Where the IPv4 contacts lie in the datagram: 26 octets each, of id, address and port.
    std::size_t contacts4_offset = 0;
    std::size_t contacts4_bytes = 0;
    /// Likewise the IPv6 contacts, of 38 octets.
    std::size_t contacts6_offset = 0;
    std::size_t contacts6_bytes = 0;
};

/// Judges a datagram before OpenDHT's parser sees it. Nothing: drop it.
///
/// That parser (ParsedMessage and Value::msgpack_unpack of 2.4.12) unpacks without limits, walks
/// `a`, `r`, `u` and `e` as maps without looking whether they are, takes the first item of an empty
/// `e`, and divides by the number of selected fields. One datagram ends the process.
///
/// Rules:
/// 1. Whatever this program's own nodes never send is refused, known to OpenDHT or not: listen,
///    update and refresh requests, value parts, signed and encrypted values, foreign value types.
///    Rationale: a closed grammar needs no model of what the parser does with the rest.
/// 2. No key twice. Rationale: the parser takes the last of some and the first of others.
/// 3. Every field has the type, size and count that 2.4.12 writes; `network` must match.
/// 4. A `get` must select fields or name one value. Rationale: a bare one is answered with all
///    values of a key, a hundredfold amplifier towards a forged address.
///
///     datagram = { y: "q", q: "ping"|"find"|"get"|"put", a: {...}, t, v, n, s }
///              | { y: "r", r: {...},                                t, v, n, s }
///              | { y: "e", e: [code, text], r: {id},                t, v, n, s }
///
/// O(size), allocates nothing, never throws.
[[nodiscard]] std::optional<GuardedDatagram> guard_datagram(ByteView datagram,
                                                            std::uint32_t network) noexcept;

/// Writes `datagram`, an outgoing one of OpenDHT's, to `flagged` with `"s": true` added to its
/// outermost map: receivers then keep the sender out of their routing tables.
/// False, and `flagged` unspecified, when it is not a map.
[[nodiscard]] bool flag_as_client(ByteView datagram, Bytes& flagged);

}  // namespace flow29::dht
