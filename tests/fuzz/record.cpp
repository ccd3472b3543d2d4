// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/record.hpp"
#include "core/descriptor.hpp"
#include "core/key_space.hpp"
#include "dht/record_rules.hpp"

#include "fixtures.hpp"
#include "input.hpp"

namespace {

using namespace flow29;

/// What is decoded encodes to what decodes to the same, and says what a reader may rely on.
void try_node(ByteView raw) {
    const auto record = proto::NodeRecord::decode(raw);
    if (!record) return;
    FLOW29_ASSERT(record->addresses.size() <= limits::addresses_per_record_max);
    for (const auto& address : record->addresses)
        FLOW29_ASSERT(!address.is_unspecified());
    const auto again = proto::NodeRecord::decode(record->encode());
    FLOW29_ASSERT(again && *again == *record);
}

void try_provider(ByteView raw, const DhtKey& key) {
    const auto record = proto::ProviderRecord::decode(raw, key);
    if (!record) return;
    FLOW29_ASSERT(record->key == key && !record->address.is_unspecified());
    FLOW29_ASSERT(record->value_id() != 0);
    const auto again = proto::ProviderRecord::decode(record->encode(), key);
    FLOW29_ASSERT(again && *again == *record);
}

void try_lease(ByteView raw) {
    const auto lease = proto::Lease::decode(raw);
    if (!lease) return;
    const auto again = proto::Lease::decode(lease->encode());
    FLOW29_ASSERT(again && *again == *lease);
}

/// The same octets as a value that a lookup found and as one that a neighbour wants stored.
void try_index(ByteView raw, const DhtKey& key, fuzz::Input& input) {
    const auto now = fuzz::wall_now();
    dht::RawValue value;
    value.type = input.flag() ? dht::RecordType::node : dht::RecordType::provider;
    value.octets.assign(raw.begin(), raw.end());
    const auto node = proto::NodeRecord::decode(raw);
    const auto provider = proto::ProviderRecord::decode(raw, key);
    const bool named_right = input.flag();
    const auto place = node && input.flag() ? core::node_key(node->node()) : key;
    value.id = input.number(~std::uint64_t{0});
    if (named_right && node) value.id = dht::node_value_id(node->key, place);
    if (named_right && provider) value.id = provider->value_id();
    const auto read_as_provider = dht::read_provider(place, value, now);
    const auto read_as_node = dht::read_node(place, value, now);
    FLOW29_ASSERT(!read_as_provider || !read_as_node);
    if (read_as_provider)
        FLOW29_ASSERT(provider && *read_as_provider == *provider &&
                      value.id == provider->value_id());
    if (read_as_node)
        FLOW29_ASSERT(node && *read_as_node == *node && place == core::node_key(node->node()));
    dht::RecordRules rules({});
    dht::Offer offer{value.type, place, value.id, value.octets, proto::sample_v6()};
    if (node && !node->addresses.empty()) offer.source = node->addresses.front();
    if (provider) offer.source = provider->address;
    // Rule 1: what is stored is what a reader would believe.
    const bool stored = rules.may_store(offer, now);
    FLOW29_ASSERT(!stored || read_as_provider || read_as_node);
}

}  // namespace

/// The first octet says what the rest is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const auto choice = input.octet();
    const DhtKey key = core::KeySpace().root_key(fuzz::root(choice / 8U));
    fuzz::Input options(&choice, 1);
    if (choice % 4 == 3) {
        // Signed anew, so that what is behind the signature is reached.
        auto node = fuzz::random_node_record(input);
        const auto encoded = node.encode();
        FLOW29_ASSERT(proto::NodeRecord::decode(encoded).has_value());
        try_node(encoded);
        try_index(encoded, key, input);
        auto provider = fuzz::random_provider_record(input, key);
        try_provider(provider.encode(), key);
        try_index(provider.encode(), key, input);
        auto lease = fuzz::random_lease(input);
        FLOW29_ASSERT(proto::Lease::decode(lease.encode()) == lease);
        return 0;
    }
    const auto raw = input.rest();
    try_node(raw);
    try_provider(raw, key);
    try_lease(raw);
    try_index(raw, key, options);
    return 0;
}
