// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/private_source.hpp"

#include <doctest/doctest.h>

#include "core/hash.hpp"
#include "core/merkle.hpp"

using namespace flow29;
using node::PrivateSource;

namespace {

constexpr std::size_t extent_bytes = 2048;

/// What lies in memory, and may change behind the reader's back, as a file's content may without
/// its times saying so.
class MemorySource : public node::Source {
  public:
    explicit MemorySource(const Bytes& content) : content_(content) {}
    [[nodiscard]] ObjectKind kind() const override { return ObjectKind::file; }
    [[nodiscard]] ByteCount length() const override { return ByteCount(content_.size()); }
    [[nodiscard]] Result<void> read(std::uint64_t offset,
                                    std::span<std::uint8_t> out) const override {
        const auto from = content_.begin() + static_cast<std::ptrdiff_t>(offset);
        std::copy_n(from, out.size(), out.begin());
        return {};
    }
    [[nodiscard]] Result<void> check_unchanged() const override { return {}; }

  private:
    const Bytes& content_;  // the test's
};

struct Encrypted {
    explicit Encrypted(const Bytes& content)
        : plain_root(core::root_hash(ObjectKind::file, ByteCount(content.size()),
                                     core::tree_hash(content))),
          key(core::FileKey::derive(Bytes(32, 7), ObjectKind::file, plain_root)),
          source(std::make_unique<MemorySource>(content), key, plain_root) {}

    Bytes read(std::size_t first, std::size_t last) {
        Bytes out(last - first);
        REQUIRE(source.read(first, out).has_value());
        return out;
    }

    RootHash plain_root;
    core::FileKey key;
    PrivateSource source;
};

}  // namespace

TEST_CASE("an encrypted source is as long as the other and its key opens it") {
    Bytes content(2 * extent_bytes + 100, 'x');
    Encrypted encrypted(content);
    CHECK(encrypted.source.kind() == ObjectKind::encrypted);
    CHECK(encrypted.source.length().value == content.size());
    // In any order, as workers read.
    auto second = encrypted.read(extent_bytes, 2 * extent_bytes);
    auto first = encrypted.read(0, extent_bytes);
    const auto third = encrypted.read(2 * extent_bytes, content.size());
    CHECK(first != second);  // of the same text
    CHECK(encrypted.source.check_unchanged().has_value());
    encrypted.key.apply(extent_bytes, second);
    CHECK(second == Bytes(extent_bytes, 'x'));
    encrypted.key.apply(0, first);
    CHECK(first == second);
}

TEST_CASE("a source that changed after its key was derived is refused") {
    Bytes content(2 * extent_bytes, 'x');
    Encrypted encrypted(content);
    (void)encrypted.read(0, extent_bytes);
    content[extent_bytes + 9] = 'y';
    (void)encrypted.read(extent_bytes, 2 * extent_bytes);
    const auto unchanged = encrypted.source.check_unchanged();
    REQUIRE_FALSE(unchanged.has_value());
    CHECK(unchanged.error().code == Errc::refused);
}

TEST_CASE("an empty source can be encrypted") {
    const Bytes content;
    Encrypted encrypted(content);
    CHECK(encrypted.source.check_unchanged().has_value());
}
