// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/descriptor.hpp"
#include "core/hash.hpp"
#include "core/key_space.hpp"
#include "core/merkle.hpp"
#include "core/pack.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace flow29;
using namespace flow29::core;
using test::content;
using test::make_id;

namespace {

Descriptor describe(std::uint64_t length, unsigned level) {
    Descriptor descriptor{ObjectKind::file, ByteCount(length), level, {}};
    const Bytes data = content(0, length);
    const Layout layout = descriptor.layout();
    for (std::uint64_t i = 0; i < layout.extents(); ++i) {
        const ByteRange bytes = layout.extent_bytes(ExtentIndex(i));
        descriptor.extents.push_back(
            tree_hash(ByteView(data).subspan(bytes.first.value, bytes.count().value)));
    }
    return descriptor;
}

Errc refusal(const Bytes& raw, const RootHash& root) {
    const auto decoded = Descriptor::decode(raw, root);
    return decoded ? Errc::ok : decoded.error().code;
}

/// The descriptor's encoding with its number of fields, and those after the fifth, as given.
Bytes with_fields(const Descriptor& descriptor, std::size_t count) {
    Bytes raw = descriptor.encode();
    raw[0] = static_cast<std::uint8_t>(0x90 + count);
    for (std::size_t i = 5; i < count; ++i)
        raw.push_back(0xc0);
    return raw;
}

}  // namespace

TEST_CASE("the root of an object does not depend on the extent level") {
    for (const std::uint64_t length :
         std::initializer_list<std::uint64_t>{0, 1, 512, 513, 5000, 20'000}) {
        const Bytes data = content(0, length);
        const RootHash root = root_hash(ObjectKind::file, ByteCount(length), tree_hash(data));
        for (const unsigned level : {0U, 1U, 3U, 11U, 17U}) {
            CHECK(describe(length, level).tree() == tree_hash(data));
            CHECK(describe(length, level).root() == root);
        }
    }
}

TEST_CASE("a descriptor reads back under its root") {
    for (const std::uint64_t length :
         std::initializer_list<std::uint64_t>{0, 1, 511, 512, 513, 5000, 20'000}) {
        for (const unsigned level : {0U, 1U, 11U, 17U}) {
            for (const ObjectKind kind : {ObjectKind::file, ObjectKind::directory}) {
                Descriptor descriptor = describe(length, level);
                descriptor.kind = kind;
                const auto decoded = Descriptor::decode(descriptor.encode(), descriptor.root());
                REQUIRE(decoded.has_value());
                CHECK(*decoded == descriptor);
            }
        }
    }
}

TEST_CASE("a later version's extra fields are ignored, a missing field is not") {
    const Descriptor descriptor = describe(5000, 1);
    CHECK(refusal(with_fields(descriptor, 6), descriptor.root()) == Errc::ok);
    CHECK(refusal(with_fields(descriptor, 9), descriptor.root()) == Errc::ok);
    CHECK(refusal(with_fields(descriptor, 4), descriptor.root()) == Errc::peer_misbehaved);
}

TEST_CASE("a descriptor is refused under another root") {
    const Descriptor descriptor = describe(5000, 1);
    CHECK(refusal(descriptor.encode(), make_id<RootHash>(1)) == Errc::verification_failed);
    CHECK(refusal(descriptor.encode(), describe(5001, 1).root()) == Errc::verification_failed);
}

TEST_CASE("no changed byte of a descriptor passes") {
    const Descriptor descriptor = describe(5000, 1);
    const Bytes raw = descriptor.encode();
    for (std::size_t i = 0; i < raw.size(); ++i) {
        for (const unsigned bit : {0U, 3U, 7U}) {
            Bytes wrong = raw;
            wrong[i] ^= static_cast<std::uint8_t>(1U << bit);
            const Errc code = refusal(wrong, descriptor.root());
            CAPTURE(i);
            CHECK((code == Errc::peer_misbehaved || code == Errc::verification_failed));
        }
    }
}

TEST_CASE("the largest object fits, one byte or extent more does not") {
    Descriptor descriptor{
        ObjectKind::file, ByteCount(limits::object_bytes_max), limits::extent_level_max, {}};
    descriptor.extents.resize(limits::extents_per_object_max);
    const Bytes raw = descriptor.encode();
    CHECK(raw.size() <= limits::descriptor_bytes_max);
    CHECK(refusal(raw, descriptor.root()) == Errc::ok);

    descriptor.length += ByteCount(1);
    CHECK(refusal(descriptor.encode(), descriptor.root()) == Errc::peer_misbehaved);
    descriptor.length -= ByteCount(1);
    descriptor.extents.emplace_back();
    CHECK(refusal(descriptor.encode(), descriptor.root()) == Errc::peer_misbehaved);
    CHECK(refusal(Bytes(limits::descriptor_bytes_max + 1), descriptor.root()) ==
          Errc::peer_misbehaved);
}

TEST_CASE(
    "a length that calls for more extents than there are is refused before anything is made") {
    Packer packer;
    packer.array(5).uint(1).uint(0).uint(limits::object_bytes_max).uint(0).bin({});
    CHECK(refusal(packer.take(), make_id<RootHash>(1)) == Errc::peer_misbehaved);
}

TEST_CASE("the keys of one hash in different roles differ") {
    const auto raw = make_id<TreeHash>(1);
    const KeySpace space;
    const KeySpace other(SwarmKey{raw.bytes});
    const std::set<DhtKey> keys{
        space.root_key(RootHash{raw.bytes}), space.extent_key(raw),
        other.root_key(RootHash{raw.bytes}), other.extent_key(raw),
        node_key(NodeId{raw.bytes}),         dht_position(NodeId{raw.bytes})};
    CHECK(keys.size() == 6);
    CHECK(std::ranges::equal(dht_position(NodeId{raw.bytes}).bytes,
                             std::span(raw.bytes).first<20>()));
}

TEST_CASE("nearness is the XOR distance, and nothing is nearer than itself") {
    DhtKey target;
    target.bytes[0] = 0b1000'0000;
    DhtKey one_off = target;
    one_off.bytes[19] = 1;
    DhtKey far = target;
    far.bytes[0] = 0;
    CHECK(nearer(target, target, one_off));
    CHECK(nearer(target, one_off, far));
    CHECK_FALSE(nearer(target, far, one_off));
    CHECK_FALSE(nearer(target, one_off, one_off));
    CHECK_FALSE(nearer(target, target, target));
    CHECK(nearer(far, far, target));
}
