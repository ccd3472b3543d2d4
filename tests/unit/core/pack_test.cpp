// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>

#include "core/pack.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace flow29;
using namespace flow29::core;
using test::content;
using test::make_id;

namespace {

ByteView octets(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Bytes hex(std::string_view text) {
    return from_hex(text).value();
}

bool parses(const Bytes& raw) {
    const auto document = Document::parse(raw);
    if (!document) CHECK(document.error().code == Errc::peer_misbehaved);
    return document.has_value();
}

/// `depth` arrays of one item, the innermost empty.
Bytes nested(std::size_t depth) {
    Bytes raw(depth, 0x91);
    raw.back() = 0x90;
    return raw;
}

/// One of everything.
Bytes sample() {
    Packer packer;
    packer.array(7).uint(300).boolean(true).bin(content(0, 5)).str("käse").nil();
    packer.array(2).uint(1).uint(2);
    packer.id(make_id<NodeId>(1));
    return packer.take();
}

}  // namespace

TEST_CASE("packed fields are msgpack in its shortest form") {
    Packer packer;
    packer.array(6).uint(127).uint(128).boolean(false).nil().str("a").bin(octets("b"));
    CHECK(packer.take() == hex("967fcc80c2c0a161c40162"));
    CHECK(packer.take().empty());
}

TEST_CASE("what was packed reads back in order") {
    const Bytes raw = sample();
    const auto document = Document::parse(raw);
    REQUIRE(document.has_value());
    FieldReader fields = document->fields();
    CHECK(fields.remaining() == 7);
    CHECK(fields.uint() == 300);
    CHECK(fields.boolean());
    CHECK(std::ranges::equal(fields.bin(5), content(0, 5)));
    CHECK(fields.str(5) == "käse");
    CHECK(fields.skip_nil());
    CHECK_FALSE(fields.skip_nil());
    FieldReader inner = fields.array(2);
    CHECK(inner.uint() == 1);
    CHECK(inner.uint() == 2);
    CHECK(inner.remaining() == 0);
    CHECK(fields.id<NodeId>() == make_id<NodeId>(1));
    CHECK(fields.remaining() == 0);
    CHECK_FALSE(fields.skip_nil());
    CHECK(fields.ok());
    CHECK(inner.ok());
}

TEST_CASE("strings and octets are borrowed from the input, not copied") {
    const Bytes raw = sample();
    const auto document = Document::parse(raw);
    FieldReader fields = document->fields();
    fields.uint();
    fields.boolean();
    const ByteView bin = fields.bin(5);
    CHECK(bin.data() >= raw.data());
    CHECK(bin.data() + bin.size() <= raw.data() + raw.size());
}

TEST_CASE("integers of every size read back") {
    for (unsigned bits = 0; bits <= 64; ++bits) {
        for (const std::int64_t off : std::initializer_list<std::int64_t>{-1, 0, 1}) {
            const std::uint64_t value =
                (bits == 64 ? 0 : 1ULL << bits) + static_cast<std::uint64_t>(off);
            Packer packer;
            const Bytes raw = packer.array(1).uint(value).take();
            CHECK(Document::parse(raw)->fields().uint() == value);
        }
    }
}

TEST_CASE("octets and strings of every length class read back") {
    for (const std::size_t size :
         std::initializer_list<std::size_t>{0, 1, 31, 32, 255, 256, 65535, 65536, 100'000}) {
        const Bytes data = content(0, size);
        const std::string text(size, 'x');
        Packer packer;
        const Bytes raw = packer.array(2).bin(data).str(text).take();
        const auto document = Document::parse(raw);
        REQUIRE(document.has_value());
        FieldReader fields = document->fields();
        CHECK(std::ranges::equal(fields.bin(size), data));
        CHECK(fields.str(size) == text);
        CHECK(fields.ok());
    }
}

TEST_CASE("a field of another type, or above its bound, fails the reader") {
    const auto fails = [](const Bytes& raw, const auto& read) {
        const auto document = Document::parse(raw);
        REQUIRE(document.has_value());
        FieldReader fields = document->fields();
        read(fields);
        return !fields.ok();
    };
    const auto one = [](const auto& pack) {
        Packer packer;
        packer.array(1);
        pack(packer);
        return packer.take();
    };
    const Bytes number = one([](Packer& p) { p.uint(10); });
    const Bytes text = one([](Packer& p) { p.str("abc"); });
    const Bytes data = one([](Packer& p) { p.bin(content(0, 3)); });
    const Bytes flag = one([](Packer& p) { p.boolean(true); });
    const Bytes list = one([](Packer& p) { p.array(1).nil(); });

    CHECK_FALSE(fails(number, [](FieldReader& f) { CHECK(f.uint(10) == 10); }));
    CHECK(fails(number, [](FieldReader& f) { CHECK(f.uint(9) == 0); }));
    CHECK(fails(number, [](FieldReader& f) { CHECK_FALSE(f.boolean()); }));
    CHECK(fails(text, [](FieldReader& f) { CHECK(f.uint() == 0); }));
    CHECK(fails(text, [](FieldReader& f) { CHECK(f.bin(9).empty()); }));
    CHECK_FALSE(fails(text, [](FieldReader& f) { CHECK(f.str(3) == "abc"); }));
    CHECK(fails(text, [](FieldReader& f) { CHECK(f.str(2).empty()); }));
    CHECK(fails(data, [](FieldReader& f) { CHECK(f.str(9).empty()); }));
    CHECK(fails(data, [](FieldReader& f) { CHECK(f.bin(2).empty()); }));
    CHECK(fails(data, [](FieldReader& f) { CHECK(f.id<NodeId>() == NodeId{}); }));
    CHECK(fails(data, [](FieldReader& f) { CHECK_FALSE(f.array(9).ok()); }));
    CHECK(fails(flag, [](FieldReader& f) { CHECK(f.uint() == 0); }));
    CHECK_FALSE(fails(list, [](FieldReader& f) { CHECK(f.array(1).ok()); }));
    CHECK(fails(list, [](FieldReader& f) { CHECK_FALSE(f.array(0).ok()); }));
    CHECK(fails(hex("91ff"), [](FieldReader& f) { CHECK(f.uint() == 0); }));
    CHECK(fails(hex("91cb3ff0000000000000"), [](FieldReader& f) { CHECK(f.uint() == 0); }));
}

TEST_CASE("an id field is exactly as long as the id") {
    for (const std::size_t size : std::initializer_list<std::size_t>{31, 32, 33}) {
        Packer packer;
        const Bytes raw = packer.array(1).bin(content(0, size)).take();
        const auto document = Document::parse(raw);
        FieldReader fields = document->fields();
        (void)fields.id<NodeId>();
        CHECK(fields.ok() == (size == 32));
    }
}

TEST_CASE("a reader that failed yields zeroes for ever") {
    Packer packer;
    const Bytes raw = packer.array(3).str("not a number").uint(7).nil().take();
    const auto document = Document::parse(raw);
    FieldReader fields = document->fields();
    CHECK(fields.uint() == 0);
    CHECK_FALSE(fields.ok());
    CHECK(fields.remaining() == 0);
    CHECK(fields.uint() == 0);
    CHECK(fields.bin(100).empty());
    CHECK(fields.str(100).empty());
    CHECK_FALSE(fields.boolean());
    CHECK_FALSE(fields.skip_nil());
    CHECK_FALSE(fields.array(100).ok());
    CHECK_FALSE(fields.ok());
    CHECK_FALSE(FieldReader{}.ok());
}

TEST_CASE("reading past the last field fails, and fields left over do not") {
    Packer packer;
    const Bytes raw = packer.array(2).uint(1).uint(2).take();
    const auto document = Document::parse(raw);
    FieldReader short_reader = document->fields();
    CHECK(short_reader.uint() == 1);
    CHECK(short_reader.ok());
    FieldReader long_reader = document->fields();
    long_reader.uint();
    long_reader.uint();
    CHECK(long_reader.ok());
    CHECK(long_reader.uint() == 0);
    CHECK_FALSE(long_reader.ok());
}

TEST_CASE("fail and require hand a failure on") {
    const Bytes raw = hex("9190");
    const auto document = Document::parse(raw);
    FieldReader outer = document->fields();
    FieldReader inner = outer.array(1);
    CHECK(outer.ok());
    CHECK(inner.uint() == 0);
    CHECK(outer.ok());
    outer.require(inner);
    CHECK_FALSE(outer.ok());
    FieldReader other = document->fields();
    other.fail();
    CHECK_FALSE(other.ok());
}

TEST_CASE("only one whole array parses") {
    CHECK(parses(hex("90")));
    CHECK_FALSE(parses({}));
    CHECK_FALSE(parses(hex("01")));
    CHECK_FALSE(parses(hex("80")));
    CHECK_FALSE(parses(hex("c0")));
    CHECK_FALSE(parses(hex("9000")));
    CHECK_FALSE(parses(hex("9090")));
    CHECK_FALSE(parses(hex("91c1")));
    CHECK(parses(hex("9181a16101")));
}

TEST_CASE("every proper prefix of a document is refused") {
    const Bytes raw = sample();
    CHECK(parses(raw));
    for (std::size_t size = 0; size < raw.size(); ++size)
        CHECK_FALSE(parses({raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(size)}));
}

TEST_CASE("nesting is bounded") {
    CHECK(parses(nested(limits::msgpack_depth_max)));
    CHECK_FALSE(parses(nested(limits::msgpack_depth_max + 1)));
    CHECK_FALSE(parses(nested(1'000'000)));
    Bytes maps(1'000'000, 0x81);
    maps[0] = 0x91;
    CHECK_FALSE(parses(maps));
}

TEST_CASE("a claimed length beyond the input allocates nothing and is refused") {
    CHECK_FALSE(parses(hex("ddffffffff")));                      // 4 Gi items
    CHECK_FALSE(parses(hex("91dfffffffff")));                    // 4 Gi pairs
    CHECK_FALSE(parses(hex("91c6ffffffff")));                    // 4 GiB of octets
    CHECK_FALSE(parses(hex("91dbffffffff")));                    // 4 GiB of text
    CHECK_FALSE(parses(hex("91c9ffffffff00")));                  // 4 GiB of extension
    CHECK_FALSE(parses(hex("dd7fffffffdd7fffffffdd7fffffff")));  // and nested
    CHECK_FALSE(parses(hex("9200")));
}

TEST_CASE("nested claims are refused together, though each alone fits the input") {
    Bytes raw = hex("dc0080dc0080dc0080dc0080");
    raw.resize(200, 0x00);
    CHECK_FALSE(parses(raw));
}

TEST_CASE("no change of a byte makes a reader misbehave") {
    const Bytes raw = sample();
    std::mt19937_64 random(29);
    for (int i = 0; i < 20'000; ++i) {
        Bytes changed = raw;
        for (std::uint64_t n = random() % 4; n < 4; ++n)
            changed[random() % changed.size()] = static_cast<std::uint8_t>(random());
        const auto document = Document::parse(changed);
        if (!document) continue;
        FieldReader fields = document->fields();
        while (fields.remaining() > 0) {
            switch (random() % 6) {
                case 0:
                    fields.uint();
                    break;
                case 1:
                    fields.boolean();
                    break;
                case 2:
                    (void)fields.bin(100);
                    break;
                case 3:
                    (void)fields.str(100);
                    break;
                case 4:
                    fields.array(10).uint();
                    break;
                case 5:
                    fields.skip_nil() ? void() : fields.fail();
                    break;
            }
        }
    }
}
