// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>

#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

/// Which of the object's extents a node has.
std::vector<ExtentHash> held_by(const Swarm& swarm, std::size_t node, const Object& object) {
    std::vector<ExtentHash> held;
    for (const auto& extent : object.descriptor.extents)
        if (swarm.store(node).has_extent(extent)) held.push_back(extent);
    return held;
}

}  // namespace

TEST_CASE("what rotted is dropped, and healed from other holders") {
    Swarm swarm({.seed = 71});
    swarm.grow_to(6, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 200'000, .level = 4});
    const std::size_t holder = 2;
    const auto held = held_by(swarm, holder, object);
    REQUIRE(held.size() > 8);
    const auto sound = swarm.verify(holder);
    REQUIRE(sound);
    CHECK(sound->is_sound());
    CHECK(sound->checked_extents == held.size());
    CHECK(sound->checked_objects == 1);
    CHECK(sound->damaged_extents == 0);

    for (std::size_t i = 0; i < held.size(); i += 3)
        swarm.rot(holder, held[i]);
    const auto rotten = (held.size() + 2) / 3;
    const auto found = swarm.verify(holder, object.root);
    REQUIRE(found);
    CHECK(found->checked_extents == held.size());
    CHECK(found->damaged_extents == rotten);
    CHECK(found->healed_extents == rotten);
    CHECK(found->missing_extents == 0);
    CHECK(found->is_sound());
    CHECK(held_by(swarm, holder, object) == held);
    CHECK(copies(swarm, object) >= 4);
}

TEST_CASE("a copy that nobody asked for is healed as well") {
    Swarm swarm({.seed = 74});
    swarm.grow_to(8, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 200'000, .level = 4});
    std::size_t holder = 1;
    while (held_by(swarm, holder, object).empty() ||
           held_by(swarm, holder, object).size() == object.descriptor.extents.size())
        ++holder;
    // As a fetch that keeps a copy leaves it.
    std::vector<ExtentHash> added;
    for (const auto& extent : object.descriptor.extents) {
        if (swarm.store(holder).has_extent(extent)) continue;
        const auto chunks = core::chunks_in(*swarm.store(0).extent_length(extent));
        auto slice = swarm.store(0).read(extent, {ChunkIndex(0), ChunkIndex(chunks.value)});
        REQUIRE(slice);
        const auto tree = core::GroupTree::build(slice->data.view(), limits::hash_group_level);
        std::vector<store::NewExtent> extents;
        extents.push_back({extent,
                           std::move(slice->data),
                           {tree.group_hashes().begin(), tree.group_hashes().end()}});
        REQUIRE(swarm.store(holder).put_extents(std::move(extents)));
        added.push_back(extent);
    }
    for (const auto& extent : added)
        swarm.rot(holder, extent);
    const auto found = swarm.verify(holder);
    REQUIRE(found);
    CHECK(found->damaged_extents == added.size());
    CHECK(found->healed_extents == added.size());
    CHECK(found->is_sound());
    CHECK(held_by(swarm, holder, object).size() == object.descriptor.extents.size());
}

TEST_CASE("what rotted where nobody else is cannot be healed, and is missed from then on") {
    Swarm swarm({.seed = 72});
    swarm.grow_to(5, 500ms);
    swarm.world().run_for(30s);
    const auto object = publish(swarm, {.bytes = 20'000});
    const std::size_t holder = 2;
    REQUIRE(held_by(swarm, holder, object).size() == 1);
    for (std::size_t node = 0; node < swarm.size(); ++node)
        if (node != holder) swarm.crash(node);
    swarm.rot(holder, object.descriptor.extents.front());
    const auto found = swarm.verify(holder);
    REQUIRE(found);
    CHECK(found->damaged_extents == 1);
    CHECK(found->healed_extents == 0);
    CHECK_FALSE(found->is_sound());
    CHECK(found->complaints.size() == 1);
    const auto again = swarm.verify(holder);
    REQUIRE(again);
    CHECK(again->checked_extents == 0);
    CHECK(again->missing_extents == 1);
    CHECK_FALSE(again->is_sound());

    for (std::size_t node = 0; node < swarm.size(); ++node)
        if (node != holder) swarm.restart(node);
    swarm.world().run_for(30s);
    const auto healed = swarm.verify(holder);
    REQUIRE(healed);
    CHECK(healed->is_sound());
    CHECK(held_by(swarm, holder, object).size() == 1);
}

TEST_CASE("an object that is not kept here is not found") {
    Swarm swarm({.seed = 73});
    swarm.grow_to(2, 500ms);
    const auto found = swarm.verify(1, RootHash{});
    REQUIRE_FALSE(found);
    CHECK(found.error().code == Errc::not_found);
}

TEST_CASE("what is kept is read no faster than leaves the disk to others") {
    Swarm swarm({.seed = 74, .capacity = ByteCount(1ULL << 30)});
    swarm.grow_to(2, 500ms);
    swarm.world().run_for(30s);
    constexpr std::uint64_t bytes = limits::verify_rate + limits::verify_rate / 2;
    const auto object = publish(swarm, {.bytes = bytes, .copies = 1});
    const auto before = swarm.world().now();
    const auto found = swarm.verify(0, object.root);
    REQUIRE(found);
    CHECK(found->is_sound());
    // A second's worth at once, then at the rate; the last extent is not waited for.
    const Duration taken = swarm.world().now() - before;
    CHECK(taken >= 450ms);
    CHECK(taken < 1s);
}
