// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <memory>
#include <random>

#include "copy_world.hpp"
#include "core/hash.hpp"

// Which copies may go because there are more than are wanted.

namespace flow29::proto {
namespace {

core::Sha256Digest rank(const ItemId& item, std::uint32_t node) {
    return core::sha256({item.key().view(), fake_node(node).view()});
}

std::size_t before_self(const ItemId& item, std::uint32_t first, std::uint32_t last) {
    std::size_t count = 0;
    for (auto node = first; node <= last; ++node)
        if (rank(item, node) < rank(item, 0)) ++count;
    return count;
}

TEST_CASE("a copy may go exactly when as many as are wanted rank before it and live") {
    std::size_t may_go = 0;
    for (std::uint32_t number = 1; number <= 60; ++number) {
        World w(6, holder());
        const auto item = fake_item(number);
        w.add(number);
        for (std::uint32_t node = 1; node <= 6; ++node)
            w.planner.on_copy(item, fake_node(node), at(0s));
        const auto enough = w.planner.enough_without_us(item);
        CHECK(enough.size() == (before_self(item, 1, 6) >= 4 ? 4 : 0));
        if (!enough.empty()) ++may_go;
        for (const auto& node : enough)
            CHECK(rank(item, w.number_of(node)) < rank(item, 0));
        // Missing ones count as copies, but nobody can rely on them.
        w.table.on_missing(fake_node(1), at(1s));
        w.table.on_missing(fake_node(2), at(1s));
        w.planner.on_node_changed(fake_node(1), at(1s));
        w.planner.on_node_changed(fake_node(2), at(1s));
        CHECK(w.planner.enough_without_us(item).size() == (before_self(item, 3, 6) == 4 ? 4 : 0));
    }
    CHECK(may_go >= 10);
    CHECK(may_go <= 50);
}

TEST_CASE("copies that are not more than wanted stay, and so does a publisher's") {
    World w(8, holder());
    const auto item = fake_item(1);
    w.add(1, 5);
    for (std::uint32_t node = 1; node <= 4; ++node)
        w.planner.on_copy(item, fake_node(node), at(0s));
    CHECK(w.planner.enough_without_us(item).empty());
    for (std::uint32_t node = 5; node <= 8; ++node)
        w.planner.on_copy(item, fake_node(node), at(0s));
    w.planner.set_bystander(item);
    CHECK(w.planner.enough_without_us(item).empty());
    CHECK(w.planner.enough_without_us(fake_item(2)).empty());
}

TEST_CASE("a copy stays when the others would be in fewer address groups without it") {
    const auto in_group = [](std::uint32_t number, std::uint8_t group) {
        auto made = fake_record(number);
        made.addresses[0].address[14] = group;
        return made;
    };
    std::size_t looked_at = 0;
    for (std::uint32_t number = 1; number <= 60; ++number) {
        const auto item = fake_item(number);
        if (before_self(item, 1, 5) < 4) continue;
        ++looked_at;
        for (const bool apart : {false, true}) {
            World w(0, holder());
            w.table.set_self_group(in_group(0, 100).addresses[0].group());
            for (std::uint32_t node = 1; node <= 5; ++node) {
                const auto group = static_cast<std::uint8_t>(apart ? 100 + node : 101 + node % 3);
                w.table.on_alive(in_group(node, group), at(0s));
            }
            w.add(number);
            for (std::uint32_t node = 1; node <= 5; ++node)
                w.planner.on_copy(item, fake_node(node), at(0s));
            CHECK(w.planner.enough_without_us(item).empty() == !apart);
        }
    }
    CHECK(looked_at >= 5);
}

TEST_CASE("whoever lets go at the same time on whatever beliefs, enough copies stay") {
    std::mt19937_64 random(29);
    unsigned rounds_with_several = 0;
    for (unsigned round = 0; round < 2000; ++round) {
        const auto holders = static_cast<std::uint32_t>(5 + random() % 10);
        const auto item = fake_item(round);
        std::vector<bool> goes(holders);
        for (std::uint32_t self = 0; self < holders; ++self) {
            NodeTable table({.self = fake_node(self)});
            CopyPlanner planner(table, {.self = fake_node(self), .settle = 0s});
            planner.add_item(item, RootHash{}, mebibyte, 4);
            for (std::uint32_t other = 0; other < holders; ++other) {
                if (other == self || random() % 4 == 0) continue;
                table.on_alive(fake_record(other), at(0s));
                planner.on_copy(item, fake_node(other), at(0s));
            }
            goes[self] = !planner.enough_without_us(item).empty();
        }
        const auto gone = std::ranges::count(goes, true);
        if (gone > 1) ++rounds_with_several;
        CHECK(holders - gone >= 4);
    }
    CHECK(rounds_with_several > 500);
}

}  // namespace
}  // namespace flow29::proto
