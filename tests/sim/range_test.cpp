// SPDX-License-Identifier: GPL-3.0-or-later
// What a part of a large object costs: that does not depend on how large the object is.
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t beside_max = 4096;
constexpr unsigned level = 7;  // 64 KiB an extent
constexpr std::uint64_t extents = 256;
constexpr std::uint64_t extent_bytes = limits::chunk_bytes << level;
constexpr std::uint64_t middle = extents / 2 * extent_bytes;
constexpr Duration settles = 2s;
constexpr Duration leaves = 50ms;

ByteRange chunk_at(std::uint64_t offset) {
    const auto first = offset / limits::chunk_bytes * limits::chunk_bytes;
    return {ByteCount(first), ByteCount(first + limits::chunk_bytes)};
}

bool is_part(const Result<Bytes>& read, const Object& object, ByteRange range) {
    return read.has_value() &&
           std::ranges::equal(
               *read, ByteView(object.content).subspan(range.first.value, range.count().value));
}

/// Nodes, and an object of many extents, which its publisher has left.
struct Wide {
    Swarm swarm;
    Object object;

    Wide(std::size_t holders, unsigned copies)
        : swarm({.seed = holders, .audit_period = no_audits}) {
        swarm.grow_to(holders, 500ms);
        const auto publisher = swarm.add({.storing = false});
        swarm.world().run_for(1min);
        object = publish(swarm, {.publisher = publisher,
                                 .bytes = extents * extent_bytes,
                                 .copies = copies,
                                 .level = level});
        REQUIRE(object.descriptor.extents.size() == extents);
        swarm.crash(publisher);
        swarm.world().run_for(1min);
    }

    /// A node that keeps nothing and has met the swarm.
    std::size_t newcomer() {
        const auto node = swarm.add({.storing = false});
        swarm.world().run_for(10s, [&] { return swarm.engine(node).neighbourhood().joined(); });
        swarm.world().run_for(settles);
        return node;
    }

    /// Bytes of all messages that reading and finding consist of, those with a descriptor left out,
    /// while `reader` reads a range.
    std::uint64_t beside(std::size_t reader, ByteRange range) {
        const auto moved = [&network = swarm.network()] {
            std::uint64_t bytes = 0;
            for (const auto* name : {"get_descriptor", "get_holders", "holder_table", "have",
                                     "have_reply", "get_range", "range_reply", "get_hinted"})
                bytes += network.sent(name).bytes;
            return bytes;
        };
        const auto before = moved();
        CHECK(is_part(swarm.fetch(reader, object.root, range), object, range));
        swarm.world().run_for(settles);
        return moved() - before;
    }

    /// Those that have an extent, in order of their number.
    std::vector<std::size_t> holders_of(std::size_t extent) const {
        return swarm.holders(proto::ItemId::of(object.descriptor.extents[extent]));
    }
};

}  // namespace

TEST_CASE("a chunk out of many extents moves less than 4 KiB beside the descriptor") {
    Wide wide(1, 1);
    const auto reader = wide.newcomer();
    for (const std::uint64_t offset : {std::uint64_t{0}, extent_bytes * 3 - 1, middle}) {
        CAPTURE(offset);
        auto& network = wide.swarm.network();
        const auto all = network.bytes_moved - network.sent("descriptor_reply").bytes;
        const auto bytes = wide.beside(reader, chunk_at(offset));
        MESSAGE(bytes, " bytes for a chunk");
        CHECK(bytes > limits::chunk_bytes);
        CHECK(bytes < beside_max);
        // Nothing comes with it under another name, either.
        CHECK(network.bytes_moved - network.sent("descriptor_reply").bytes - all < beside_max);
    }
}

TEST_CASE("a chunk moves no more where each extent has four holders among many") {
    Wide wide(24, 4);
    const auto reader = wide.newcomer();
    for (const std::uint64_t offset : {std::uint64_t{0}, extent_bytes * 3 - 1, middle}) {
        CAPTURE(offset);
        const auto bytes = wide.beside(reader, chunk_at(offset));
        MESSAGE(bytes, " bytes for a chunk");
        CHECK(bytes < beside_max);
    }
}

TEST_CASE("a range across a border of extents comes from the holders of both") {
    Wide wide(24, 4);
    const auto reader = wide.newcomer();
    const ByteRange across{ByteCount(extent_bytes * 5 - 700), ByteCount(extent_bytes * 5 + 700)};
    CHECK(is_part(wide.swarm.fetch(reader, wide.object.root, across), wide.object, across));
}

TEST_CASE("a chunk is found although all holders but one have lost its extent") {
    for (const bool claims : {false, true}) {
        CAPTURE(claims);
        Wide wide(24, 4);
        const auto reader = wide.newcomer();
        const auto holders = wide.holders_of(middle / extent_bytes);
        REQUIRE(holders.size() >= 2);
        for (const auto node : holders)
            if (node != holders.back())
                (void)wide.swarm.lose_extents(node, wide.object.descriptor, 1, claims);
        const auto range = chunk_at(middle);
        CHECK(is_part(wide.swarm.fetch(reader, wide.object.root, range), wide.object, range));
    }
}

TEST_CASE("half of an object comes although two holders of each of its extents go meanwhile") {
    Wide wide(24, 4);
    const auto reader = wide.newcomer();
    const ByteRange range{ByteCount(middle), ByteCount(middle + (extents / 2) * extent_bytes)};
    const auto nodes = wide.holders_of(middle / extent_bytes);
    REQUIRE(nodes.size() >= 4);
    auto& world = wide.swarm.world();
    for (std::size_t i = 0; i < 2; ++i)
        world.at(world.now() + (i + 1) * leaves, [&, i] { wide.swarm.crash(nodes[i]); });
    const auto began = world.now();
    CHECK(is_part(wide.swarm.fetch(reader, wide.object.root, range), wide.object, range));
    CHECK(world.now() > began + 2 * leaves);  // else nobody went away meanwhile
}
