// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/hash.hpp"
#include <flow29/limits.hpp>
#include "aborts.hpp"
#include "core/merkle.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

using namespace flow29;
using namespace flow29::core;
using test::content;
using test::make_id;

namespace {

ByteView octets(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string hex(const Sha256Digest& digest) {
    return to_hex(ByteView(digest));
}

constexpr std::uint8_t zero[] = {0};
constexpr std::uint8_t one[] = {1};

}  // namespace

TEST_CASE("sha256 gives the digests of FIPS 180-4's examples") {
    CHECK(hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(hex(sha256({octets("abc")})) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(hex(sha256(
              {octets("abcdbcdecdefdefgefghfghighijhijk"), octets("ijkljklmklmnlmnomnopnopq")})) ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("sha256 does not depend on how the input is cut") {
    const Bytes data = content(0, 300);
    const Sha256Digest whole = sha256({data});
    Sha256 hasher;
    for (const std::size_t cut :
         std::initializer_list<std::size_t>{0, 1, 55, 56, 63, 64, 65, 127, 128, 129, 299, 300}) {
        hasher.update(ByteView(data).first(cut));
        hasher.update(ByteView(data).subspan(cut));
        CHECK(hasher.finish() == whole);
    }
}

TEST_CASE("a hasher starts anew after finish, and survives a move") {
    Sha256 hasher;
    hasher.update(octets("left over"));
    (void)hasher.finish();
    CHECK(hasher.finish() == sha256({}));
    hasher.update(octets("ab"));
    Sha256 moved = std::move(hasher);
    moved.update(octets("c"));
    CHECK(moved.finish() == sha256({octets("abc")}));
}

TEST_CASE("a leaf is the hash of a zero octet and the chunk") {
    for (const std::size_t size : std::initializer_list<std::size_t>{1, 2, 63, 64, 511, 512}) {
        const Bytes chunk = content(0, size);
        CHECK(leaf_hash(chunk).bytes == sha256({zero, chunk}));
    }
}

TEST_CASE("leaf_hash does not take what is no chunk") {
    CHECK(test::aborts([] { (void)leaf_hash({}); }));
    CHECK(test::aborts([] { (void)leaf_hash(content(0, 513)); }));
}

TEST_CASE("a node is the hash of a one octet, left and right, in that order") {
    const auto left = make_id<TreeHash>(1);
    const auto right = make_id<TreeHash>(2);
    CHECK(node_hash(left, right).bytes == sha256({one, left.view(), right.view()}));
    CHECK(node_hash(left, right) != node_hash(right, left));
}

TEST_CASE("leaf_hashes hashes every chunk, the short last one too") {
    for (const std::size_t size :
         std::initializer_list<std::size_t>{0, 1, 511, 512, 513, 1023, 1024, 1025, 5000}) {
        const Bytes data = content(7, 7 + size);
        const std::size_t count = (size + 511) / 512;
        std::vector<ChunkHash> hashes(count + 1);
        leaf_hashes(data, hashes);
        for (std::size_t i = 0; i < count; ++i) {
            const auto chunk =
                ByteView(data).subspan(i * 512, std::min<std::size_t>(512, size - i * 512));
            CHECK(hashes[i] == leaf_hash(chunk));
        }
        CHECK(hashes[count].is_zero());
    }
}

TEST_CASE("hashes made side by side are those made one after the other") {
    for (const std::size_t chunks : {1U, 2U, 15U, 16U, 17U, 31U, 63U, 64U, 65U, 127U, 128U, 200U}) {
        CAPTURE(chunks);
        const Bytes data = content(0, chunks * limits::chunk_bytes);
        std::vector<ChunkHash> leaves(chunks);
        leaf_hashes(data, leaves);
        for (std::size_t i = 0; i < chunks; ++i)
            CHECK(leaves[i].bytes == sha256({zero, ByteView(data).subspan(i * limits::chunk_bytes,
                                                                          limits::chunk_bytes)}));
        std::vector<TreeHash> nodes(chunks / 2);
        node_hashes(leaves, nodes);
        for (std::size_t i = 0; i < nodes.size(); ++i)
            CHECK(nodes[i] == node_hash(leaves[2 * i], leaves[2 * i + 1]));
        auto in_place = leaves;
        node_hashes(in_place, in_place);
        in_place.resize(chunks / 2);
        CHECK(in_place == nodes);
    }
}

TEST_CASE("several threads hash at the same time") {
    const Bytes data = content(0, 1 << 20);
    const auto expected = tree_hash(data);
    std::vector<TreeHash> tops(8);
    {
        std::vector<std::jthread> threads;
        for (auto& top : tops)
            threads.emplace_back([&data, &top] { top = tree_hash(data); });
    }
    for (const auto& top : tops)
        CHECK(top == expected);
}

TEST_CASE("leaf_hashes does not write past its output") {
    CHECK(test::aborts([] {
        std::vector<ChunkHash> room(1);
        leaf_hashes(content(0, 513), room);
    }));
}

TEST_CASE("a root commits to kind, length and tree") {
    const auto tree = make_id<TreeHash>(3);
    const std::uint8_t head[] = {2, 1, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
    const ByteCount length(0x0102030405060708);
    const RootHash root = root_hash(ObjectKind::directory, length, tree);
    CHECK(root.bytes == sha256({head, tree.view()}));
    CHECK(root != root_hash(ObjectKind::file, length, tree));
    CHECK(root != root_hash(ObjectKind::directory, length + ByteCount(1), tree));
    CHECK(root != root_hash(ObjectKind::directory, length, make_id<TreeHash>(4)));
}

TEST_CASE("a place in the DHT is the start of the hash of domain and id") {
    const auto id = make_id<NodeId>(5);
    const Sha256Digest digest = sha256({octets("domain"), id.view()});
    CHECK(std::ranges::equal(dht_key("domain", id.view()).bytes, std::span(digest).first<20>()));
    CHECK(dht_key("domain", id.view()) != dht_key("other", id.view()));
}
