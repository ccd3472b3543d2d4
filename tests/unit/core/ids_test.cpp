// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/ids.hpp>

#include "support.hpp"

#include <doctest/doctest.h>

#include <unordered_set>

using namespace flow29;
using core::test::make_id;

TEST_CASE("hexadecimal text is lower case and reads back") {
    const Bytes raw{0x00, 0x01, 0x0f, 0x10, 0x7f, 0x80, 0xab, 0xff};
    CHECK(to_hex(raw) == "00010f107f80abff");
    CHECK(from_hex("00010f107f80abff") == raw);
    CHECK(from_hex("00010F107F80ABFF") == raw);
    CHECK(to_hex(ByteView{}).empty());
    CHECK(from_hex("") == Bytes{});
}

TEST_CASE("text that is not hexadecimal is refused") {
    for (const char* text :
         {"0", "abc", "0g", "g0", "0x", " 00", "0/", "0:", "0@", "0G", "0`", "-1"})
        CHECK_FALSE(from_hex(text).has_value());
    CHECK_FALSE(from_hex(std::string_view("0\0", 2)).has_value());
}

TEST_CASE("an id reads back from exactly its own number of digits") {
    const auto root = make_id<RootHash>(1);
    const std::string text = to_hex(root);
    CHECK(text.size() == 64);
    CHECK(id_from_hex<RootHash>(text) == root);
    CHECK_FALSE(id_from_hex<RootHash>(text.substr(1)).has_value());
    CHECK_FALSE(id_from_hex<RootHash>(text.substr(2)).has_value());
    CHECK_FALSE(id_from_hex<RootHash>(text + "00").has_value());
    CHECK_FALSE(id_from_hex<RootHash>("").has_value());
    CHECK_FALSE(id_from_hex<DhtKey>(text).has_value());
}

TEST_CASE("only a default id is zero") {
    CHECK(NodeId{}.is_zero());
    NodeId id;
    id.bytes.back() = 1;
    CHECK_FALSE(id.is_zero());
}

TEST_CASE("ids work as keys of a hash table") {
    std::unordered_set<TreeHash> seen;
    for (std::uint64_t i = 0; i < 1000; ++i)
        seen.insert(make_id<TreeHash>(i));
    CHECK(seen.size() == 1000);
    CHECK(seen.contains(make_id<TreeHash>(999)));
    CHECK_FALSE(seen.contains(make_id<TreeHash>(1000)));
}
