// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/descriptor.hpp"

#include "core/hash.hpp"
#include "core/merkle.hpp"
#include "core/pack.hpp"

#include <cstring>
#include <string>

namespace flow29::core {
namespace {

// These enter keys of the DHT: changing one hides everything published before.
constexpr std::string_view node_domain = "flow29 node";

constexpr std::uint64_t format_version = 1;

std::vector<ExtentHash> split_hashes(ByteView raw) {
    std::vector<ExtentHash> hashes(raw.size() / ExtentHash::size);
    for (ExtentHash& hash : hashes) {
        std::memcpy(hash.bytes.data(), raw.data(), ExtentHash::size);
        raw = raw.subspan(ExtentHash::size);
    }
    return hashes;
}

}  // namespace

TreeHash Descriptor::tree() const {
    return fold(extents);
}

RootHash Descriptor::root() const {
    return root_hash(kind, length, tree());
}

Bytes Descriptor::encode() const {
    Bytes joined;
    joined.reserve(extents.size() * ExtentHash::size);
    for (const ExtentHash& extent : extents)
        joined.insert(joined.end(), extent.bytes.begin(), extent.bytes.end());
    Packer packer;
    packer.array(5)
        .uint(format_version)
        .uint(static_cast<std::uint8_t>(kind))
        .uint(length.value)
        .uint(level)
        .bin(joined);
    return packer.take();
}

Result<Descriptor> Descriptor::parse(ByteView raw) {
    const auto malformed = [](std::string why) {
        return fail(Errc::peer_misbehaved, "malformed descriptor: " + std::move(why));
    };
    if (raw.size() > limits::descriptor_bytes_max) return malformed("too long");
    const auto document = Document::parse(raw);
    if (!document) return malformed(document.error().message());

    FieldReader fields = document->fields();
    const std::uint64_t version = fields.uint();
    const std::uint64_t kind = fields.uint(static_cast<std::uint8_t>(ObjectKind::encrypted));
    const ByteCount length(fields.uint(limits::object_bytes_max));
    const auto level = static_cast<unsigned>(fields.uint(limits::extent_level_max));
    const ByteView hashes = fields.bin(limits::extents_per_object_max * ExtentHash::size);
    if (!fields.ok()) return malformed("a field is missing or out of bounds");
    if (version != format_version) return malformed("version " + std::to_string(version));
    // Compared with a product of small numbers: extents() is at most 2^43 here.
    const std::uint64_t extents = Layout(length, level).extents();
    if (hashes.size() != extents * ExtentHash::size)
        return malformed("its length calls for " + std::to_string(extents) + " extents");

    return Descriptor{static_cast<ObjectKind>(kind), length, level, split_hashes(hashes)};
}

Result<Descriptor> Descriptor::decode(ByteView raw, const RootHash& root) {
    auto descriptor = parse(raw);
    if (descriptor && descriptor->root() != root)
        return fail(Errc::verification_failed, "the descriptor is not that of " + to_hex(root));
    return descriptor;
}

DhtKey node_key(const NodeId& node) {
    return dht_key(node_domain, node.view());
}

DhtKey dht_position(const NodeId& node) {
    DhtKey position;
    std::memcpy(position.bytes.data(), node.bytes.data(), DhtKey::size);
    return position;
}

bool nearer(const DhtKey& target, const DhtKey& a, const DhtKey& b) {
    for (std::size_t i = 0; i < DhtKey::size; ++i) {
        const int to_a = target.bytes[i] ^ a.bytes[i];
        const int to_b = target.bytes[i] ^ b.bytes[i];
        if (to_a != to_b) return to_a < to_b;
    }
    return false;
}

}  // namespace flow29::core
