// SPDX-License-Identifier: GPL-3.0-or-later
// Checks the implementation against tests/vectors/tree.json, which a second implementation wrote.
#include "core/descriptor.hpp"
#include "core/hash.hpp"
#include "core/layout.hpp"
#include "core/merkle.hpp"
#include "support.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

using namespace flow29;
using namespace flow29::core;
using nlohmann::json;
using test::content;

namespace {

const json& vectors() {
    static const json parsed = [] {
        std::ifstream file(FLOW29_VECTORS "/tree.json");
        return json::parse(file);
    }();
    return parsed;
}

std::uint64_t number(const json& object, const char* field) {
    return object.at(field).get<std::uint64_t>();
}

std::string text(const json& object, const char* field) {
    return object.at(field).get<std::string>();
}

Proof proof_of(const json& vector) {
    Proof proof;
    for (const json& hash : vector.at("proof"))
        proof.push_back(id_from_hex<TreeHash>(hash.get<std::string>()).value());
    return proof;
}

/// True when the hashes are those listed, or hash to what is given in place of a list.
bool matches(const json& expected, std::span<const TreeHash> hashes) {
    if (number(expected, "count") != hashes.size()) return false;
    if (expected.contains("hashes")) {
        const auto listed = expected.at("hashes").get<std::vector<std::string>>();
        return std::ranges::equal(hashes, listed, {}, [](const TreeHash& h) { return to_hex(h); });
    }
    Sha256 joined;
    for (const TreeHash& hash : hashes)
        joined.update(hash.view());
    return to_hex(ByteView(joined.finish())) == text(expected, "sha256");
}

/// The hashes of an object's extents at several levels, from its leaves one after another.
class ExtentHasher {
  public:
    explicit ExtentHasher(unsigned level) : level_(level) {}

    void push(const ChunkHash& leaf) {
        current_.push(leaf);
        if (current_.count() == 1ULL << level_) close();
    }
    void close() {
        if (current_.count() > 0) hashes_.push_back(current_.top());
        current_ = TreeBuilder();
    }
    [[nodiscard]] const std::vector<ExtentHash>& hashes() const { return hashes_; }

  private:
    unsigned level_;
    TreeBuilder current_;
    std::vector<ExtentHash> hashes_;
};

/// Streams the content in 1 MiB pieces, so that memory stays low for a 1 GiB object.
void check_object(const json& vector) {
    const std::uint64_t length = number(vector, "length");
    CAPTURE(length);
    std::vector<ExtentHasher> extents;
    for (const json& level : vector.at("extents"))
        extents.emplace_back(static_cast<unsigned>(number(level, "level")));

    constexpr std::uint64_t piece = 1 << 20;
    std::vector<ChunkHash> leaves;
    for (std::uint64_t at = 0; at < length; at += piece) {
        const Bytes data = content(at, std::min(at + piece, length));
        leaves.resize(chunks_in(ByteCount(data.size())).value);
        leaf_hashes(data, leaves);
        for (auto& hasher : extents)
            for (const ChunkHash& leaf : leaves)
                hasher.push(leaf);
    }

    const auto default_level = static_cast<unsigned>(number(vector, "level"));
    CHECK(default_extent_level(ByteCount(length)) == default_level);
    for (std::size_t i = 0; i < extents.size(); ++i) {
        const json& expected = vector.at("extents").at(i);
        const auto level = static_cast<unsigned>(number(expected, "level"));
        extents[i].close();
        CHECK(matches(expected, extents[i].hashes()));
        CHECK(Layout(ByteCount(length), level).extents() == extents[i].hashes().size());

        const Descriptor descriptor{static_cast<ObjectKind>(number(vector, "kind")),
                                    ByteCount(length), level, extents[i].hashes()};
        CHECK(to_hex(descriptor.tree()) == text(vector, "tree"));
        CHECK(to_hex(descriptor.root()) == text(vector, "root"));
        if (level == default_level)
            CHECK(to_hex(ByteView(sha256({descriptor.encode()}))) ==
                  text(vector, "descriptor_sha256"));
    }
}

/// Whether the range, with the data and the proof of the vector, verifies.
bool verifies(const json& vector) {
    const ByteCount length(number(vector, "length"));
    const ChunkRange range = test::chunks(number(vector, "first"), number(vector, "last"));
    const std::uint64_t first =
        (vector.contains("data_first") ? number(vector, "data_first") : range.first.value) * 512;
    Bytes data = content(first, std::min(first + range.count().value * 512, length.value));
    if (vector.contains("data_xor")) {
        const json& change = vector.at("data_xor");
        data.at(change.at(0).get<std::size_t>()) ^= change.at(1).get<std::uint8_t>();
    }
    const auto top = id_from_hex<TreeHash>(text(vector, "top")).value();
    return verify_range(top, chunks_in(length), range, data, proof_of(vector)).has_value();
}

}  // namespace

TEST_CASE("objects of every boundary length have the vectors' trees, roots and extents") {
    CHECK(vectors().at("objects").size() > 40);
    for (const json& vector : vectors().at("objects"))
        check_object(vector);
}

TEST_CASE("the vectors' proofs verify, and are the ones made here") {
    for (const json& vector : vectors().at("proofs")) {
        const ChunkRange range = test::chunks(number(vector, "first"), number(vector, "last"));
        CAPTURE(number(vector, "length"));
        CAPTURE(range.first.value);
        CHECK(verifies(vector));
        const Bytes data = content(0, number(vector, "length"));
        for (const unsigned level : {0U, 3U, limits::hash_group_level}) {
            const GroupTree tree = GroupTree::build(data, level);
            const ByteRange seen = bytes_of(tree.data_needed(range), ByteCount(data.size()));
            const ByteView needed = ByteView(data).subspan(seen.first.value, seen.count().value);
            CHECK(tree.prove(range, needed) == proof_of(vector));
        }
    }
}

TEST_CASE("a 1 GiB object has the vector's tree, root and extents") {
    const json& vector = vectors().at("large");
    REQUIRE(number(vector, "length") == 1ULL << 30);
    check_object(vector);
    for (const json& proof : vector.at("proofs"))
        CHECK(verifies(proof));
}

TEST_CASE("the vectors' descriptor is the one made here, and reads back") {
    const json& vector = vectors().at("descriptor");
    const auto raw = from_hex(text(vector, "raw")).value();
    const auto root = id_from_hex<RootHash>(text(vector, "root")).value();
    const auto decoded = Descriptor::decode(raw, root);
    REQUIRE(decoded.has_value());
    CHECK(decoded->length.value == number(vector, "length"));
    CHECK(decoded->level == number(vector, "level"));
    CHECK(decoded->encode() == raw);
}

TEST_CASE("the vectors' corrupted proofs are refused") {
    CHECK(vectors().at("corrupted").at("proofs").size() > 20);
    for (const json& vector : vectors().at("corrupted").at("proofs")) {
        CAPTURE(text(vector, "why"));
        CHECK_FALSE(verifies(vector));
    }
}

TEST_CASE("the vectors' corrupted descriptors are refused, with the right blame") {
    const auto root = id_from_hex<RootHash>(text(vectors().at("descriptor"), "root")).value();
    for (const json& vector : vectors().at("corrupted").at("descriptors")) {
        CAPTURE(text(vector, "why"));
        const auto decoded = Descriptor::decode(from_hex(text(vector, "raw")).value(), root);
        REQUIRE_FALSE(decoded.has_value());
        CHECK(errc_name(decoded.error().code) == text(vector, "errc"));
    }
}
