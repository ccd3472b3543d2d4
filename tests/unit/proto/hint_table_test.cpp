// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/hint_table.hpp"

#include <doctest/doctest.h>

#include "copy_world.hpp"

namespace flow29::proto {
namespace {

TEST_CASE("a hint names who gave it, until it is too old") {
    HintTable hints;
    hints.on_hint(fake_node(1), {fake_item(1), fake_item(2)}, at(0s));
    hints.on_hint(fake_node(2), {fake_item(1)}, at(1h));
    CHECK(hints.size() == 3);
    CHECK(hints.holders(fake_item(1), at(2h)).size() == 2);
    CHECK(hints.holders(fake_item(2), at(2h)) == std::vector{fake_node(1)});
    CHECK(hints.holders(fake_item(3), at(2h)).empty());
    CHECK(hints.holders(fake_item(1), at(24h)) == std::vector{fake_node(2)});
    hints.expire(at(24h));
    CHECK(hints.size() == 1);
    hints.check_invariants();
}

TEST_CASE("given again, a hint lives on") {
    HintTable hints;
    hints.on_hint(fake_node(1), {fake_item(1)}, at(0s));
    hints.on_hint(fake_node(1), {fake_item(1)}, at(20h));
    CHECK(hints.size() == 1);
    hints.expire(at(30h));
    CHECK(hints.holders(fake_item(1), at(30h)) == std::vector{fake_node(1)});
    hints.check_invariants();
}

TEST_CASE("what a node said is forgotten with it") {
    HintTable hints;
    hints.on_hint(fake_node(1), {fake_item(1), fake_item(2)}, at(0s));
    hints.on_hint(fake_node(2), {fake_item(1)}, at(0s));
    hints.forget_node(fake_node(1));
    hints.forget_node(fake_node(3));
    CHECK(hints.holders(fake_item(1), at(0s)) == std::vector{fake_node(2)});
    CHECK(hints.size() == 1);
    hints.check_invariants();
}

TEST_CASE("a flood from one node stops at its bound and pushes nobody out") {
    HintTable hints;
    hints.on_hint(fake_node(1), {fake_item(1)}, at(0s));
    for (std::uint32_t first = 0; first < limits::hints_per_node_max + 2000; first += 1000) {
        std::vector<ItemId> items;
        for (std::uint32_t i = 0; i < 1000; ++i)
            items.push_back(fake_item(10 + first + i));
        hints.on_hint(fake_node(2), items, at(1s));
    }
    CHECK(hints.size() == 1 + limits::hints_per_node_max);
    CHECK(hints.holders(fake_item(1), at(2s)) == std::vector{fake_node(1)});
    hints.check_invariants();
}

TEST_CASE("a hint is good until its time is over") {
    HintTable hints;
    hints.on_hint(fake_node(1), {fake_item(1)}, at(0s));
    CHECK(hints.holders(fake_item(1), at(limits::hint_lifetime - 1s)).size() == 1);
    CHECK(hints.holders(fake_item(1), at(limits::hint_lifetime)).empty());
    hints.expire(at(limits::hint_lifetime - 1s));
    CHECK(hints.size() == 1);
    hints.expire(at(limits::hint_lifetime));
    CHECK(hints.size() == 0);
}

TEST_CASE("a flood from many nodes stops at the bound of all") {
    HintTable hints;
    std::vector<ItemId> items;
    for (std::uint32_t i = 0; i < limits::hints_per_node_max; ++i)
        items.push_back(fake_item(i));
    const auto full = limits::hints_max / limits::hints_per_node_max;
    for (std::uint32_t node = 0; node < full; ++node)
        hints.on_hint(fake_node(node), items, at(0s));
    REQUIRE(hints.size() == limits::hints_max);
    hints.on_hint(fake_node(full), {fake_item(1)}, at(1s));
    CHECK(hints.size() == limits::hints_max);
    CHECK(hints.holders(fake_item(1), at(1s)).size() == full);
    hints.on_hint(fake_node(0), {fake_item(1)}, at(1h));  // known, so it lives on
    CHECK(hints.holders(fake_item(1), at(limits::hint_lifetime)) == std::vector{fake_node(0)});
    hints.forget_node(fake_node(0));
    hints.on_hint(fake_node(full), {fake_item(1)}, at(1s));
    CHECK(hints.size() == limits::hints_max - limits::hints_per_node_max + 1);
    hints.check_invariants();
}

}  // namespace
}  // namespace flow29::proto
