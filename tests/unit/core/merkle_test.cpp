// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/merkle.hpp"
#include "aborts.hpp"
#include "core/hash.hpp"
#include "core/layout.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace flow29;
using namespace flow29::core;
using test::chunks;
using test::content;
using test::make_id;

namespace {

/// The definition of the format, word for word.
TreeHash naive_tree(std::span<const TreeHash> nodes) {
    if (nodes.empty()) return empty_tree_hash();
    if (nodes.size() == 1) return nodes[0];
    std::size_t k = 1;
    while (k * 2 < nodes.size())
        k *= 2;
    return node_hash(naive_tree(nodes.first(k)), naive_tree(nodes.subspan(k)));
}

/// The documented order of a proof, word for word.
void naive_proof(std::span<const TreeHash> nodes, std::size_t at, ChunkRange range, Proof& proof) {
    const std::size_t end = at + nodes.size();
    if (range.first.value <= at && end <= range.last.value) return;
    if (end <= range.first.value || range.last.value <= at) {
        proof.push_back(naive_tree(nodes));
        return;
    }
    std::size_t k = 1;
    while (k * 2 < nodes.size())
        k *= 2;
    naive_proof(nodes.first(k), at, range, proof);
    naive_proof(nodes.subspan(k), at + k, range, proof);
}

std::vector<TreeHash> leaves_of(ByteView data) {
    std::vector<TreeHash> leaves(chunks_in(ByteCount(data.size())).value);
    leaf_hashes(data, leaves);
    return leaves;
}

ByteView slice(ByteView data, ChunkRange range) {
    const ByteRange bytes = bytes_of(range, ByteCount(data.size()));
    return data.subspan(bytes.first.value, bytes.count().value);
}

/// A tree over some content, and the proofs its holder gives.
struct Held {
    Bytes data;
    GroupTree tree;

    Held(std::size_t size, unsigned group_level)
        : data(content(0, size)), tree(GroupTree::build(data, group_level)) {}

    [[nodiscard]] Proof prove(ChunkRange range) const {
        return tree.prove(range, slice(data, tree.data_needed(range)));
    }
    [[nodiscard]] Bytes bytes(ChunkRange range) const {
        const ByteView view = slice(data, range);
        return {view.begin(), view.end()};
    }
    [[nodiscard]] bool accepts(ChunkRange range, const Bytes& bytes, const Proof& proof) const {
        const auto verified = verify_range(tree.top(), tree.chunks(), range, bytes, proof);
        if (!verified) CHECK(verified.error().code == Errc::verification_failed);
        return verified.has_value();
    }
};

}  // namespace

TEST_CASE("fold gives the tree of the definition for any number of nodes") {
    std::vector<TreeHash> nodes;
    for (std::uint64_t n = 0; n <= 130; ++n) {
        CHECK(fold(nodes) == naive_tree(nodes));
        nodes.push_back(make_id<TreeHash>(n));
    }
}

TEST_CASE("fold of equal subtrees with a ragged last one is the whole tree") {
    std::vector<TreeHash> nodes;
    for (std::uint64_t n = 1; n <= 70; ++n) {
        nodes.push_back(make_id<TreeHash>(n));
        for (const std::size_t group : std::initializer_list<std::size_t>{1, 2, 4, 32, 64, 128}) {
            std::vector<TreeHash> tops;
            for (std::size_t at = 0; at < nodes.size(); at += group)
                tops.push_back(
                    naive_tree(std::span(nodes).subspan(at, std::min(group, nodes.size() - at))));
            CHECK(fold(tops) == naive_tree(nodes));
        }
    }
}

TEST_CASE("a builder's top is right after every push") {
    TreeBuilder builder;
    std::vector<TreeHash> nodes;
    CHECK(builder.top() == empty_tree_hash());
    for (std::uint64_t n = 1; n <= 70; ++n) {
        nodes.push_back(make_id<TreeHash>(n));
        builder.push(nodes.back());
        CHECK(builder.count() == n);
        CHECK(builder.top() == naive_tree(nodes));
    }
}

TEST_CASE("tree_hash of data is the fold of its leaves") {
    for (const std::size_t size : std::initializer_list<std::size_t>{
             0, 1, 511, 512, 513, 1023, 1024, 1025, 32767, 32768, 32769, 65536, 65537, 100'000,
             256 * 512, 257 * 512 + 1, 600 * 512}) {
        const Bytes data = content(3, 3 + size);
        CHECK(tree_hash(data) == naive_tree(leaves_of(data)));
    }
}

TEST_CASE("a group tree has the same top at every group level") {
    for (const std::size_t size :
         std::initializer_list<std::size_t>{0, 1, 512, 513, 5 * 512, 32 * 512, 32 * 512 + 1,
                                            77 * 512 - 3, 512 * 512, 1100 * 512 + 1}) {
        const Bytes data = content(0, size);
        for (const unsigned level : {0U, 1U, 2U, 5U, 17U}) {
            const GroupTree tree = GroupTree::build(data, level);
            CHECK(tree.chunks() == chunks_in(ByteCount(size)));
            CHECK(tree.group_level() == level);
            CHECK(tree.top() == tree_hash(data));
            const auto stored = tree.group_hashes();
            CHECK(stored.size() == (tree.chunks().value + (1U << level) - 1) >> level);
            const GroupTree again({stored.begin(), stored.end()}, tree.chunks(), level);
            CHECK(again.top() == tree.top());
        }
    }
}

TEST_CASE("a group tree does not take a wrong number of hashes") {
    CHECK(test::aborts([] { GroupTree({}, ChunkCount(1), 5); }));
    CHECK(test::aborts([] { GroupTree(std::vector<TreeHash>(2), ChunkCount(32), 5); }));
    CHECK(test::aborts([] { GroupTree(std::vector<TreeHash>(1), ChunkCount(33), 5); }));
    CHECK_FALSE(test::aborts([] { GroupTree(std::vector<TreeHash>(2), ChunkCount(33), 5); }));
    CHECK(test::aborts([] { GroupTree({}, ChunkCount(0), limits::extent_level_max + 1); }));
}

TEST_CASE("data_needed is empty exactly for ranges on group borders") {
    const Held held(10 * 512 - 1, 2);
    const auto needed = [&](std::uint64_t a, std::uint64_t b) {
        return held.tree.data_needed(chunks(a, b));
    };
    CHECK(needed(0, 4).empty());
    CHECK(needed(4, 8).empty());
    CHECK(needed(0, 8).empty());
    CHECK(needed(8, 10).empty());
    CHECK(needed(0, 10).empty());
    CHECK(needed(0, 1) == chunks(0, 4));
    CHECK(needed(3, 4) == chunks(0, 4));
    CHECK(needed(3, 5) == chunks(0, 8));
    CHECK(needed(1, 10) == chunks(0, 10));
    CHECK(needed(8, 9) == chunks(8, 10));
    CHECK(needed(9, 10) == chunks(8, 10));
    CHECK(test::aborts([&] { (void)needed(3, 3); }));
    CHECK(test::aborts([&] { (void)needed(0, 11); }));
}

TEST_CASE("every range of every small tree has the documented proof, and it verifies") {
    for (const std::size_t count :
         std::initializer_list<std::size_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 65}) {
        for (const std::size_t missing : std::initializer_list<std::size_t>{0, 1, 511}) {
            for (const unsigned level : {0U, 1U, 2U, 3U}) {
                const Held held(count * 512 - missing, level);
                const auto leaves = leaves_of(held.data);
                for (std::size_t a = 0; a < count; ++a) {
                    for (std::size_t b = a + 1; b <= count; ++b) {
                        const ChunkRange range = chunks(a, b);
                        const Proof proof = held.prove(range);
                        Proof expected;
                        naive_proof(leaves, 0, range, expected);
                        REQUIRE(proof == expected);
                        REQUIRE(proof_length(ChunkCount(count), range) == proof.size());
                        const auto verified = verify_range(held.tree.top(), ChunkCount(count),
                                                           range, held.bytes(range), proof);
                        REQUIRE(verified.has_value());
                        REQUIRE(std::ranges::equal(verified->leaves,
                                                   std::span(leaves).subspan(a, b - a)));
                        const bool whole_groups = a % 32 == 0 && (b % 32 == 0 || b == count);
                        REQUIRE(verified->group_hashes == (whole_groups
                                                               ? group_tops(verified->leaves, 5)
                                                               : std::vector<TreeHash>()));
                    }
                }
            }
        }
    }
}

TEST_CASE("random ranges of a ragged extent verify at the stored group level") {
    const Held held(2048 * 512 - 300, limits::hash_group_level);
    std::mt19937_64 random(29);
    for (int i = 0; i < 200; ++i) {
        const std::uint64_t a = random() % 2048;
        const std::uint64_t b = a + 1 + random() % std::min<std::uint64_t>(2048 - a, 300);
        const ChunkRange range = chunks(a, b);
        CAPTURE(a);
        CAPTURE(b);
        CHECK(held.accepts(range, held.bytes(range), held.prove(range)));
    }
}

TEST_CASE("proofs have the documented lengths") {
    CHECK(proof_length(ChunkCount(2048), chunks(0, 2048)) == 0);
    CHECK(proof_length(ChunkCount(2048), chunks(1000, 1001)) == 11);
    CHECK(proof_length(ChunkCount(2048), chunks(128, 256)) == 4);
    CHECK(proof_length(ChunkCount(6), chunks(2, 4)) == 2);
    CHECK(proof_length(ChunkCount(1), chunks(0, 1)) == 0);
}

TEST_CASE("a proof of the largest conceivable tree stays within the limit") {
    const std::uint64_t count = ~std::uint64_t{0};
    CHECK(proof_length(ChunkCount(count), chunks(0, 1)) == 64);
    CHECK(proof_length(ChunkCount(count), chunks(count - 1, count)) == 63);
    CHECK(proof_length(ChunkCount(count), chunks(count / 2, count / 2 + 2)) <=
          limits::proof_hashes_max);
    const Bytes data = content(0, 512);
    const Proof proof(64);
    const auto refused = verify_range(TreeHash{}, ChunkCount(count), chunks(0, 1), data, proof);
    CHECK_FALSE(refused.has_value());
}

TEST_CASE("proof_length does not take an empty range or one outside the tree") {
    CHECK(test::aborts([] { (void)proof_length(ChunkCount(4), chunks(2, 2)); }));
    CHECK(test::aborts([] { (void)proof_length(ChunkCount(4), chunks(3, 5)); }));
    CHECK(test::aborts([] { (void)proof_length(ChunkCount(0), chunks(0, 0)); }));
}

TEST_CASE("every flipped byte of data or proof is noticed") {
    const Held held(11 * 512 - 100, 2);
    for (const ChunkRange range : {chunks(4, 6), chunks(10, 11), chunks(0, 11), chunks(0, 1)}) {
        const Bytes bytes = held.bytes(range);
        const Proof proof = held.prove(range);
        REQUIRE(held.accepts(range, bytes, proof));
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            Bytes wrong = bytes;
            wrong[i] ^= static_cast<std::uint8_t>(1U << i % 8);
            REQUIRE_FALSE(held.accepts(range, wrong, proof));
        }
        for (std::size_t i = 0; i < proof.size() * 32; ++i) {
            Proof wrong = proof;
            wrong[i / 32].bytes[i % 32] ^= static_cast<std::uint8_t>(1U << i % 8);
            REQUIRE_FALSE(held.accepts(range, bytes, wrong));
        }
    }
}

TEST_CASE("a proof with a hash dropped, added or swapped is refused") {
    const Held held(13 * 512, 1);
    for (const ChunkRange range : {chunks(4, 6), chunks(6, 7), chunks(12, 13), chunks(0, 13)}) {
        const Bytes bytes = held.bytes(range);
        const Proof proof = held.prove(range);
        for (std::size_t i = 0; i <= proof.size(); ++i) {
            Proof wrong = proof;
            wrong.insert(wrong.begin() + static_cast<std::ptrdiff_t>(i), make_id<TreeHash>(i));
            CHECK_FALSE(held.accepts(range, bytes, wrong));
        }
        for (std::size_t i = 0; i < proof.size(); ++i) {
            Proof wrong = proof;
            wrong.erase(wrong.begin() + static_cast<std::ptrdiff_t>(i));
            CHECK_FALSE(held.accepts(range, bytes, wrong));
            for (std::size_t j = i + 1; j < proof.size(); ++j) {
                wrong = proof;
                std::swap(wrong[i], wrong[j]);
                CHECK_FALSE(held.accepts(range, bytes, wrong));
            }
        }
        CHECK_FALSE(held.accepts(range, bytes, Proof(1'000'000)));
    }
}

TEST_CASE("right bytes are refused as another range") {
    const Held held(16 * 512, 0);
    const Bytes bytes = held.bytes(chunks(4, 6));
    const Proof proof = held.prove(chunks(4, 6));
    for (std::uint64_t a = 0; a + 2 <= 16; ++a)
        CHECK(held.accepts(chunks(a, a + 2), bytes, proof) == (a == 4));
}

TEST_CASE("the last chunks prove how many there are") {
    const Held held(6 * 512, 0);
    const ChunkRange range = chunks(4, 6);
    const Proof proof = held.prove(range);
    const Bytes bytes = held.bytes(range);
    for (std::uint64_t count = 0; count < 20; ++count) {
        CAPTURE(count);
        const auto verified = verify_range(held.tree.top(), ChunkCount(count), range, bytes, proof);
        CHECK(verified.has_value() == (count == 6));
    }
}

TEST_CASE("right bytes are refused under another top") {
    const Held held(6 * 512, 0);
    const ChunkRange range = chunks(2, 4);
    const auto refused = verify_range(make_id<TreeHash>(1), held.tree.chunks(), range,
                                      held.bytes(range), held.prove(range));
    CHECK_FALSE(refused.has_value());
}

TEST_CASE("data of a length that the range cannot have are refused") {
    const Held held(5 * 512 - 100, 0);
    const ChunkRange inner = chunks(1, 3);
    const ChunkRange tail = chunks(3, 5);
    for (const std::size_t size :
         std::initializer_list<std::size_t>{0, 1, 511, 512, 513, 1023, 1025, 1536}) {
        CAPTURE(size);
        CHECK_FALSE(held.accepts(inner, content(512, 512 + size), held.prove(inner)));
        CHECK_FALSE(held.accepts(tail, content(3 * 512, 3 * 512 + size), held.prove(tail)));
    }
    CHECK_FALSE(held.accepts(tail, content(3 * 512, 5 * 512 - 99), held.prove(tail)));
    CHECK_FALSE(held.accepts(tail, content(3 * 512, 5 * 512 - 101), held.prove(tail)));
    CHECK(held.accepts(tail, content(3 * 512, 5 * 512 - 100), held.prove(tail)));
}

TEST_CASE("a range that is empty, backwards or outside the tree is refused") {
    const Held held(4 * 512, 0);
    for (const ChunkRange range : {chunks(0, 0), chunks(4, 4), chunks(3, 2), chunks(4, 5),
                                   chunks(0, 5), chunks(~0ULL - 1, ~0ULL)})
        CHECK_FALSE(held.accepts(range, held.data, {}));
    CHECK_FALSE(verify_range(empty_tree_hash(), ChunkCount(0), chunks(0, 0), {}, {}).has_value());
}

TEST_CASE("an error names the chunk when one chunk was asked") {
    const Held held(8 * 512, 0);
    const auto context = [&](ChunkRange range) {
        Bytes wrong = held.bytes(range);
        wrong[0] ^= 1;
        return verify_range(held.tree.top(), held.tree.chunks(), range, wrong, held.prove(range))
            .error()
            .context;
    };
    CHECK(context(chunks(5, 6)).find("chunk 5 ") != std::string::npos);
    CHECK(context(chunks(4, 6)).find("chunks 4 to 5 ") != std::string::npos);
}

TEST_CASE("prove does not take data other than those it asked for") {
    const Held held(9 * 512, 2);
    CHECK(test::aborts([&] { (void)held.tree.prove(chunks(0, 1), {}); }));
    CHECK(test::aborts([&] { (void)held.tree.prove(chunks(0, 1), held.bytes(chunks(0, 3))); }));
    CHECK_FALSE(test::aborts([&] { (void)held.tree.prove(chunks(0, 4), {}); }));
}
