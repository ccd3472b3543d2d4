// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/kept_ledger.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

#include "copy_world.hpp"

namespace flow29::proto {
namespace {

constexpr KeptLedger::Salt salt{1, 2, 3};

KeptLedger ledger_of(std::uint32_t first, std::uint32_t last, std::size_t changes_max = 2048) {
    KeptLedger ledger(changes_max);
    for (std::uint32_t i = first; i < last; ++i)
        ledger.add(fake_item(i));
    return ledger;
}

std::set<ItemId> as_set(const std::vector<ItemId>& items) {
    return {items.begin(), items.end()};
}

TEST_CASE("equal sets have equal states, whatever their history") {
    KeptLedger forth = ledger_of(0, 10);
    KeptLedger back;
    for (std::uint32_t i = 10; i > 0; --i)
        back.add(fake_item(i - 1));
    back.add(fake_item(3));
    back.add(fake_item(77));
    CHECK(forth.state() != back.state());
    back.remove(fake_item(77));
    back.remove(fake_item(77));
    CHECK(forth.state() == back.state());
    CHECK(KeptLedger().state().is_zero());
    forth.check_invariants();
    back.check_invariants();
}

TEST_CASE("an item of another kind with the same hash is another item") {
    const auto hash = fake_item(5).hash;
    KeptLedger extent, descriptor;
    extent.add({ItemId::Kind::extent, hash});
    descriptor.add({ItemId::Kind::descriptor, hash});
    CHECK(extent.state() != descriptor.state());
}

TEST_CASE("who knows the state hears that nothing changed, however much is kept") {
    const KeptLedger ledger = ledger_of(0, 10'000);
    const KeptList list = ledger.answer({ledger.state(), 0}, salt);
    CHECK_FALSE(list.listed);
    CHECK(list.added.empty());
    CHECK(list.removed.empty());
    CHECK(list.state == ledger.state());
}

TEST_CASE("who knows an earlier state hears what changed since, each item once") {
    KeptLedger ledger = ledger_of(0, 100);
    const KeptState before = ledger.state();
    ledger.add(fake_item(200));
    ledger.remove(fake_item(7));
    ledger.add(fake_item(201));
    ledger.remove(fake_item(201));
    const KeptList list = ledger.answer({before, 0}, salt);
    CHECK_FALSE(list.listed);
    CHECK(list.added == std::vector{fake_item(200)});
    CHECK(as_set(list.removed) == std::set{fake_item(7), fake_item(201)});
    CHECK(list.state == ledger.state());
}

TEST_CASE("who knows nothing, or a state too long ago, gets a list") {
    KeptLedger ledger = ledger_of(0, 5, 3);
    const KeptState before = ledger.state();
    for (std::uint32_t i = 0; i < 3; ++i)
        ledger.add(fake_item(100 + i));
    CHECK_FALSE(ledger.answer({before, 0}, salt).listed);
    ledger.add(fake_item(103));
    CHECK(ledger.answer({before, 0}, salt).listed);
    const KeptList list = ledger.answer({}, salt);
    CHECK(list.listed);
    CHECK(list.salt == salt);
    CHECK(list.parts == 1);
    CHECK(KeptLedger().answer({}, salt).listed);
    // A node whose disk is gone, asked by who knew it before.
    CHECK(KeptLedger().answer({before, 0}, salt).listed);
}

TEST_CASE("a list names what is kept, and nothing else") {
    const KeptLedger ledger = ledger_of(0, 1000);
    const Bytes names = KeptLedger::short_names(salt, ledger.items_of_part(0, 1));
    CHECK(names.size() == 8000);
    std::vector<ItemId> asked;
    for (std::uint32_t i = 990; i < 1010; ++i)
        asked.push_back(fake_item(i));
    const auto found = KeptLedger::find_in(names, salt, asked);
    REQUIRE(found.has_value());
    for (std::size_t i = 0; i < asked.size(); ++i)
        CHECK((*found)[i] == (i < 10));
    const auto other_salt = KeptLedger::find_in(names, {9}, asked);
    REQUIRE(other_salt.has_value());
    CHECK(std::ranges::count(*other_salt, true) == 0);
}

TEST_CASE("half a name is misbehaviour, no name is an empty list") {
    const std::vector<ItemId> asked{fake_item(1)};
    const Bytes odd(12);
    CHECK(KeptLedger::find_in(odd, salt, asked).error().code == Errc::peer_misbehaved);
    const auto none = KeptLedger::find_in({}, salt, asked);
    REQUIRE(none.has_value());
    CHECK_FALSE(none->front());
}

TEST_CASE("the parts of a list are the whole list, each item in one of them") {
    const KeptLedger ledger = ledger_of(0, 500);
    std::multiset<ItemId> all;
    for (std::uint32_t part = 0; part < 4; ++part)
        for (const ItemId& item : ledger.items_of_part(part, 4)) {
            CHECK(KeptLedger::part_of(item, 4) == part);
            all.insert(item);
        }
    CHECK(all.size() == 500);
    CHECK(std::set<ItemId>(all.begin(), all.end()).size() == 500);
}

TEST_CASE("following answers gives the same set as the ledger, whatever happens to it") {
    std::mt19937_64 random(29);
    KeptLedger ledger(16);
    std::set<ItemId> mirror;
    KeptState known;
    for (int round = 0; round < 300; ++round) {
        const auto steps = random() % 24;
        for (std::uint64_t i = 0; i < steps; ++i) {
            const auto item = fake_item(static_cast<std::uint32_t>(random() % 40));
            random() % 2 == 0 ? ledger.add(item) : ledger.remove(item);
        }
        const KeptList list = ledger.answer({known, 0}, salt);
        if (list.listed) mirror = as_set(ledger.items_of_part(0, list.parts));
        for (const ItemId& item : list.added)
            mirror.insert(item);
        for (const ItemId& item : list.removed)
            mirror.erase(item);
        known = list.state;
        REQUIRE(mirror == as_set(ledger.items_of_part(0, 1)));
        ledger.check_invariants();
    }
}

TEST_CASE("so many changes are told, of more there is a list") {
    KeptLedger ledger;
    ledger.add(fake_item(0));
    const KeptState known = ledger.state();
    for (std::uint32_t i = 1; i <= limits::kept_changes_max; ++i)
        ledger.add(fake_item(i));
    const KeptList told = ledger.answer({known, 0}, salt);
    CHECK_FALSE(told.listed);
    CHECK(told.added.size() == limits::kept_changes_max);
    ledger.remove(fake_item(0));
    const KeptList list = ledger.answer({known, 0}, salt);
    CHECK(list.listed);
    CHECK(list.added.empty());
    ledger.check_invariants();
}

TEST_CASE("a part of a list has so many names, and a list that is longer has several") {
    const KeptLedger ledger = ledger_of(0, limits::kept_names_per_part + 1);
    CHECK(ledger.items_of_part(0, 1).size() == limits::kept_names_per_part);
    CHECK(ledger.answer({}, salt).parts > 1);
}

}  // namespace
}  // namespace flow29::proto
