// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/assert.hpp"
#include "dht/datagram_guard.hpp"
#include "dht/id_proofs.hpp"
#include "dht/return_paths.hpp"

/// The first four octets choose the network, so that a mutation can match it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace flow29;
    if (size < 4) return 0;
    const std::uint32_t network = static_cast<std::uint32_t>(data[0]) << 24 |
                                  static_cast<std::uint32_t>(data[1]) << 16 |
                                  static_cast<std::uint32_t>(data[2]) << 8 | data[3];
    const ByteView datagram(data + 4, size - 4);
    const auto facts = dht::guard_datagram(datagram, network);
    Bytes received(datagram.begin(), datagram.end());
    std::span<std::uint8_t> rest(received);
    if (const auto proof = dht::take_proof(rest)) {
        Bytes again;
        FLOW29_ASSERT(dht::add_proof(rest, *proof, again));
        FLOW29_ASSERT(std::ranges::equal(again, datagram));
    } else {
        FLOW29_ASSERT(std::ranges::equal(rest, datagram));
    }
    Bytes long_one(datagram.begin(), datagram.end());
    std::span<std::uint8_t> without(long_one);
    if (const auto field = dht::take_path_field(without)) {
        Bytes again;
        FLOW29_ASSERT(dht::add_path_field(without, *field, again));
        // Filler is not kept, its length is.
        FLOW29_ASSERT(again.size() == datagram.size());
        FLOW29_ASSERT(field->filler > 0 || std::ranges::equal(again, datagram));
    } else {
        FLOW29_ASSERT(std::ranges::equal(without, datagram));
    }
    Bytes flagged;
    const bool flaggable = dht::flag_as_client(datagram, flagged);
    if (!facts) return 0;
    FLOW29_ASSERT(facts->id_offset > 0 && facts->id_offset + 20 <= datagram.size());
    FLOW29_ASSERT(facts->contacts4_offset + facts->contacts4_bytes <= datagram.size());
    FLOW29_ASSERT(facts->contacts4_bytes % 26 == 0);
    FLOW29_ASSERT(facts->contacts6_offset + facts->contacts6_bytes <= datagram.size());
    FLOW29_ASSERT(facts->contacts6_bytes % 38 == 0);
    FLOW29_ASSERT(flaggable);
    FLOW29_ASSERT(flagged.size() <= datagram.size() + 5);
    // A flag can be added once: a key that comes twice is refused. One octet less is too short.
    const auto again = dht::guard_datagram(flagged, network);
    FLOW29_ASSERT(!again || (again->from_client && again->kind == facts->kind));
    FLOW29_ASSERT(!dht::guard_datagram(datagram.first(datagram.size() - 1), network));
    return 0;
}
