// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/link.hpp>

#include "input.hpp"

/// What is a link in any of its forms has one canonical form, which says the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace flow29;
    const auto text = fuzz::text_of(data, size);
    const auto link = Link::parse(text);
    if (link) {
        const auto canonical = link->to_string();
        const auto again = Link::parse(canonical);
        FLOW29_ASSERT(again && *again == *link && again->to_string() == canonical);
        for (const unsigned char c : canonical)
            FLOW29_ASSERT(c > ' ' && c < 0x7f);
    } else {
        FLOW29_ASSERT(link.error().code == Errc::usage && !link.error().context.empty());
    }
    if (const auto root = root_from_base32(text)) {
        const auto again = root_from_base32(to_base32(*root));
        FLOW29_ASSERT(again && *again == *root);
        FLOW29_ASSERT(link && link->root == *root);
    }
    const auto octets = from_hex(text);
    if (octets) {
        FLOW29_ASSERT(octets->size() * 2 == size && from_hex(to_hex(*octets)) == *octets);
        const auto id = RootHash::from(*octets);
        FLOW29_ASSERT(id.has_value() == (octets->size() == RootHash::size));
    }
    const auto id = id_from_hex<RootHash>(text);
    FLOW29_ASSERT(id.has_value() == (octets && octets->size() == RootHash::size));
    if (id) FLOW29_ASSERT(to_hex(*id) == to_hex(*octets) && link && link->root == *id);
    return 0;
}
