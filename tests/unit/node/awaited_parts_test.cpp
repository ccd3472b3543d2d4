// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/awaited_parts.hpp"

#include <doctest/doctest.h>

#include "store/memory_store.hpp"

using namespace flow29;
using namespace flow29::node;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t extent_bytes = 1 << 20;

ExtentHash extent_of(std::uint32_t number) {
    ExtentHash hash{};
    for (std::size_t i = 0; i < 4; ++i)
        hash.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
    return hash;
}

proto::Invite::Item item_of(std::uint32_t number) {
    return {proto::ItemId::of(extent_of(number)), ByteCount(extent_bytes)};
}

struct Fixture {
    core::Identity first = *core::Identity::generate();
    core::Identity second = *core::Identity::generate();
    RootHash part = RootHash{{1}};
    RootHash other_part = RootHash{{2}};
    core::AddressGroup group = core::Endpoint::parse("192.0.2.1:29")->group();
    store::MemoryStore store{ByteCount(0), {}};
    Settings settings = [] {
        Settings result;
        result.capacity = ByteCount(100 * extent_bytes);
        result.quota_publisher = 2;  // extents
        result.quota_group = 3;
        return result;
    }();
    Quotas quotas{store, settings};
    AwaitedParts awaited{quotas};
    TimePoint now{};

    [[nodiscard]] Quotas::Asker asker(const core::Identity& publisher) const {
        return {publisher.public_key(), group};
    }
    /// Whether that publisher may have one extent more kept here.
    [[nodiscard]] bool has_quota(const core::Identity& publisher) const {
        const auto left = quotas.left(asker(publisher), WallTime{});
        return !quotas.is_over(asker(publisher), left, extent_bytes);
    }
    void look(const std::set<NodeId>& connected, std::uint64_t started_ms = 1) {
        const auto started_of = [&](const NodeId& node) {
            return connected.contains(node) ? std::optional(started_ms) : std::nullopt;
        };
        awaited.look(started_of, now);
    }
};

}  // namespace

TEST_CASE("what is awaited is charged to its publisher until it is taken over") {
    Fixture f;
    f.awaited.add(f.part, f.asker(f.first), item_of(1), 1);
    CHECK(f.has_quota(f.first));
    f.awaited.add(f.part, f.asker(f.first), item_of(1), 1);  // again: nothing new
    CHECK(f.has_quota(f.first));
    f.awaited.add(f.part, f.asker(f.first), item_of(2), 1);
    CHECK_FALSE(f.has_quota(f.first));
    CHECK(f.has_quota(f.second));
    f.awaited.add(f.other_part, f.asker(f.second), item_of(3), 1);
    CHECK_FALSE(f.has_quota(f.second));  // the group's share is full
    CHECK(f.awaited.take_over(f.first.public_key(), item_of(1).item));
    CHECK(f.has_quota(f.first));
    CHECK_FALSE(f.awaited.take_over(f.first.public_key(), item_of(1).item));
    CHECK_FALSE(f.awaited.take_dropped());
    CHECK(f.awaited.extents() == std::unordered_set{extent_of(2), extent_of(3)});
}

TEST_CASE("an extent is awaited for whoever came first, and ended by nobody else") {
    Fixture f;
    f.awaited.add(f.part, f.asker(f.first), item_of(1), 1);
    f.awaited.add(f.other_part, f.asker(f.second), item_of(1), 1);
    CHECK_FALSE(f.awaited.take_over(f.second.public_key(), item_of(1).item));
    f.awaited.drop(f.second.id(), f.part);
    f.awaited.drop(f.first.id(), f.other_part);
    CHECK(f.awaited.extents().size() == 1);
    CHECK_FALSE(f.awaited.take_dropped());
    f.awaited.drop(f.first.id(), f.part);
    CHECK(f.awaited.extents().empty());
    CHECK(f.awaited.take_dropped());
    CHECK_FALSE(f.awaited.take_dropped());
    CHECK(f.has_quota(f.first));
}

TEST_CASE("parts outlive a short absence of their publisher, and no long one") {
    Fixture f;
    f.awaited.add(f.part, f.asker(f.first), item_of(1), 1);
    f.awaited.add(f.other_part, f.asker(f.second), item_of(2), 1);
    const std::set<NodeId> both{f.first.id(), f.second.id()};
    f.look({f.second.id()});
    f.now += AwaitedParts::grace - 1s;
    f.look({f.second.id()});
    f.look(both);  // back in time, which starts anew
    f.now += 2s;
    f.look({f.second.id()});
    CHECK(f.awaited.extents().size() == 2);
    CHECK_FALSE(f.awaited.take_dropped());
    f.now += AwaitedParts::grace;
    f.look({f.second.id()});
    CHECK(f.awaited.extents() == std::unordered_set{extent_of(2)});
    CHECK(f.awaited.take_dropped());
    CHECK(f.has_quota(f.first));
}

TEST_CASE("whoever started anew knows nothing of its parts, unless it publishes again") {
    Fixture f;
    f.awaited.add(f.part, f.asker(f.first), item_of(1), 1);
    const std::set<NodeId> connected{f.first.id()};
    f.look(connected, 2);
    f.now += AwaitedParts::grace - 1s;
    f.look(connected, 2);
    CHECK(f.awaited.extents().size() == 1);
    SUBCASE("it does") {
        f.awaited.add(f.other_part, f.asker(f.first), item_of(2), 2);
        f.look(connected, 2);
        f.now += 2s;
        f.look(connected, 2);
        CHECK(f.awaited.extents().size() == 2);
    }
    SUBCASE("it does not") {
        f.now += 2s;
        f.look(connected, 2);
        CHECK(f.awaited.extents().empty());
    }
}

TEST_CASE("no more is awaited than there is room to remember") {
    Fixture f;
    f.settings.quota_publisher = f.settings.quota_group = 100;
    for (std::uint32_t i = 0; i < limits::awaited_extents_max; ++i) {
        REQUIRE(f.awaited.has_room());
        f.awaited.add(f.part, f.asker(f.first), item_of(i), 1);
    }
    CHECK_FALSE(f.awaited.has_room());
    f.awaited.add(f.part, f.asker(f.first), item_of(limits::awaited_extents_max), 1);
    CHECK(f.awaited.extents().size() == limits::awaited_extents_max);
    CHECK(f.awaited.take_over(f.first.public_key(), item_of(0).item));
    CHECK(f.awaited.has_room());
}
