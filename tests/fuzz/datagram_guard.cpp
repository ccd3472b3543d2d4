// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/assert.hpp"
#include "core/link_local.hpp"
#include "dht/datagram_guard.hpp"
#include "dht/id_proofs.hpp"
#include "dht/link_alias.hpp"
#include "dht/return_paths.hpp"

namespace {

using namespace flow29;

/// Whoever it came from, OpenDHT is shown no alias but of an address on the sender's own link.
void check_aliases(ByteView datagram, const dht::GuardedDatagram& facts,
                   const core::Endpoint& from) {
    Bytes shown(datagram.begin(), datagram.end());
    const auto contacts = std::span(shown).subspan(facts.contacts6_offset, facts.contacts6_bytes);
    dht::alias_link_contacts(contacts, from);
    for (std::size_t at = 0; at < contacts.size(); at += 38) {
        core::Endpoint contact;
        std::ranges::copy(contacts.subspan(at + 20, 16), contact.address.begin());
        contact.port = static_cast<std::uint16_t>(contacts[at + 36] << 8 | contacts[at + 37]);
        const auto meant = dht::link_local_of_alias(contact);
        FLOW29_ASSERT(meant == contact || contact.port == 0 ||
                      core::zone_of(meant) == core::zone_of(from));
    }
    dht::reveal_link_contacts(contacts);
}

}  // namespace

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
    check_aliases(datagram, *facts, core::Endpoint::parse("[fe80::9%5]:1").value());
    check_aliases(datagram, *facts, core::Endpoint::parse("[2001:db8::9]:1").value());
    FLOW29_ASSERT(flaggable);
    FLOW29_ASSERT(flagged.size() <= datagram.size() + 5);
    // A flag can be added once: a key that comes twice is refused. One octet less is too short.
    const auto again = dht::guard_datagram(flagged, network);
    FLOW29_ASSERT(!again || (again->from_client && again->kind == facts->kind));
    FLOW29_ASSERT(!dht::guard_datagram(datagram.first(datagram.size() - 1), network));
    return 0;
}
