// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <numeric>

#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t mib = 1 << 20;
constexpr std::size_t kib = 1 << 10;

/// Bytes of data sent in each of the next minutes.
std::vector<std::uint64_t> data_by_minute(Swarm& swarm, int minutes) {
    std::vector<std::uint64_t> bytes;
    for (int i = 0; i < minutes; ++i) {
        const auto before = swarm.network().data_bytes();
        swarm.world().run_for(1min);
        bytes.push_back(swarm.network().data_bytes() - before);
    }
    return bytes;
}

std::string in_mib(const std::vector<std::uint64_t>& bytes) {
    std::string text;
    for (const auto count : bytes)
        text += fmt::format(" {:.2f}", static_cast<double>(count) / static_cast<double>(mib));
    return text;
}

std::set<std::size_t> numbers(std::size_t first, std::size_t last) {
    std::set<std::size_t> all;
    for (auto i = first; i < last; ++i)
        all.insert(i);
    return all;
}

/// True when nobody that has something of the object sees too few copies of it.
bool nobody_misses_any(Swarm& swarm, const Object& object) {
    for (const auto& item : object.items())
        for (const auto node : swarm.holders(item)) {
            const auto& planner = swarm.engine(node).caretaker().planner();
            if (!planner.has_item(item) || planner.copies(item) < planner.target(item))
                return false;
        }
    return true;
}

struct Pairs {
    std::size_t all = 0;
    std::size_t strangers = 0;  ///< one does not know that the other has it
};

/// Holders of the same extent, in pairs. (Of descriptors there are more than anybody needs to know
/// of: whoever has an extent has one. And the publisher's copy is none.)
Pairs pairs_of_holders(Swarm& swarm, const Object& object) {
    Pairs pairs;
    for (const auto& extent : object.descriptor.extents) {
        const auto item = proto::ItemId::of(extent);
        auto holders = swarm.holders(item);
        std::erase(holders, object.publisher);
        for (const auto node : holders) {
            const auto known = swarm.engine(node).caretaker().planner().holders(item);
            for (const auto other : holders) {
                if (other == node) continue;
                ++pairs.all;
                if (std::ranges::find(known, swarm.id(other)) == known.end()) ++pairs.strangers;
            }
        }
    }
    return pairs;
}

bool on_side(const std::set<std::size_t>& side, const Swarm& swarm, const Object& object) {
    return std::ranges::all_of(object.items(), [&](const auto& item) {
        return std::ranges::any_of(swarm.holders(item),
                                   [&](std::size_t node) { return side.contains(node); });
    });
}

/// A side that has all of an object has four copies of it.
void check_copies_on(const std::set<std::size_t>& side, const Swarm& swarm, const Object& object) {
    if (!on_side(side, swarm, object)) return;
    for (const auto& item : object.items()) {
        auto holders = swarm.holders(item);
        std::erase_if(holders, [&](std::size_t node) {
            return !side.contains(node) || node == object.publisher;
        });
        CHECK(holders.size() >= 4);
    }
}

}  // namespace

TEST_CASE("a partition: both sides serve, nothing is deleted, and five minutes mend everything") {
    Swarm swarm({.seed = 61, .grace = 2min, .audit_period = no_audits});
    swarm.grow_to(24, 500ms);
    swarm.world().run_for(2min);
    std::vector<Object> objects;
    for (std::size_t i = 0; i < 12; ++i)
        objects.push_back(publish(
            swarm, {.publisher = 2 * i, .bytes = 100'000 + i * 100 * kib, .seed = 100 + i}));
    swarm.world().run_for(2min);

    // The rate at which this swarm repairs at all: what is lost with one node.
    const std::size_t victim = 5;
    std::uint64_t lost = 0;
    for (const auto& object : objects)
        lost += bytes_on(swarm, object, victim);
    swarm.crash(victim);
    const auto steady = data_by_minute(swarm, 5);
    const auto steady_peak = std::ranges::max(steady);
    REQUIRE(lost > 0);
    REQUIRE(steady_peak > 0);
    swarm.restart(victim);
    CHECK(std::ranges::max(data_by_minute(swarm, 3)) == 0);

    std::vector<Holdings> before;
    for (const auto& object : objects)
        before.push_back(holdings(swarm, object));
    const auto left = numbers(0, 12);
    const auto right = numbers(12, 24);
    swarm.cut_off(left);
    const auto cut = data_by_minute(swarm, 15);
    std::size_t on_left = 0, on_right = 0;
    for (const auto& object : objects) {
        const bool is_left = on_side(left, swarm, object);
        const bool is_right = on_side(right, swarm, object);
        CHECK((is_left || is_right));
        CHECK(readable(swarm, object, 3) == is_left);
        CHECK(readable(swarm, object, 20) == is_right);
        on_left += is_left;
        on_right += is_right;
        // Each side has made its own four copies.
        for (const auto& side : {left, right})
            check_copies_on(side, swarm, object);
    }
    MESSAGE("of 12 objects " << on_left << " and " << on_right << " on the two sides");
    CHECK(on_left >= 8);
    CHECK(on_right >= 8);
    for (std::size_t i = 0; i < objects.size(); ++i)
        CHECK(nothing_deleted(before[i], holdings(swarm, objects[i])));

    for (std::size_t i = 0; i < objects.size(); ++i)
        before[i] = holdings(swarm, objects[i]);
    swarm.network().heal();
    const auto healed = data_by_minute(swarm, 5);
    Pairs pairs;
    for (std::size_t i = 0; i < objects.size(); ++i) {
        CHECK(nobody_misses_any(swarm, objects[i]));
        const auto more = pairs_of_holders(swarm, objects[i]);
        pairs.all += more.all;
        pairs.strangers += more.strangers;
        CHECK(nothing_deleted(before[i], holdings(swarm, objects[i])));
        CHECK(readable(swarm, objects[i], 3));
        CHECK(readable(swarm, objects[i], 20));
    }
    // With eight copies and more some of their holders are in nobody's neighbourhood, and two of
    // these may never meet. Both see the other six.
    MESSAGE("of " << pairs.all << " pairs of holders " << pairs.strangers << " are strangers");
    CHECK(pairs.strangers * 50 <= pairs.all);
    MESSAGE("MiB of data a minute: one node lost" << in_mib(steady) << ", partition" << in_mib(cut)
                                                  << ", healed" << in_mib(healed));
    // What the cut costs is paid while it lasts, as after any loss of half the nodes; healing is
    // free.
    CHECK(std::ranges::max(healed) <= 3 * steady_peak);
}

TEST_CASE("a short partition costs nothing") {
    Swarm swarm({.seed = 62, .grace = 2min, .audit_period = no_audits});
    swarm.grow_to(16, 500ms);
    swarm.world().run_for(1min);
    const auto object = publish(swarm, {.bytes = 5 * mib});
    swarm.world().run_for(1min);
    const auto data = swarm.network().data_bytes();
    const auto invited = swarm.network().sent("invite").messages;
    for (int i = 0; i < 3; ++i) {
        swarm.cut_off(numbers(0, 8));
        swarm.world().run_for(100s);
        swarm.network().heal();
        swarm.world().run_for(5min);
        CHECK(nobody_misses_any(swarm, object));
        CHECK(pairs_of_holders(swarm, object).strangers == 0);
    }
    CHECK(swarm.network().data_bytes() == data);
    CHECK(swarm.network().sent("invite").messages == invited);
}

TEST_CASE("a node that lost its uplink repairs nothing, and nothing is repaired on its return") {
    for (const auto away : {Duration(90s), Duration(20min), Duration(3h)}) {
        CAPTURE(away.count());
        Swarm swarm({.seed = 63, .grace = 2min, .audit_period = no_audits});
        swarm.grow_to(12, 500ms);
        swarm.world().run_for(1min);
        const auto object = publish(swarm, {.bytes = 5 * mib});
        swarm.world().run_for(1min);
        std::size_t lonely = 1;
        while (bytes_on(swarm, object, lonely) < mib)
            ++lonely;
        const auto invited = swarm.network().sent(swarm.id(lonely), "invite").messages;
        swarm.cut_off({lonely});
        swarm.world().run_for(away);
        CHECK(swarm.network().sent(swarm.id(lonely), "invite").messages == invited);
        CHECK(copies(swarm, object) >= 4);
        const auto before = holdings(swarm, object);
        const auto data = swarm.network().data_bytes();
        const auto all_invited = swarm.network().sent("invite").messages;
        swarm.network().heal();
        swarm.world().run_for(10min);
        CHECK(swarm.network().data_bytes() == data);
        CHECK(swarm.network().sent("invite").messages == all_invited);
        CHECK(holdings(swarm, object) == before);
        CHECK(nobody_misses_any(swarm, object));
        CHECK(pairs_of_holders(swarm, object).strangers == 0);
    }
}

TEST_CASE("a swarm of eight that loses three at once repairs at once") {
    Swarm swarm({.seed = 64, .grace = 2min, .audit_period = no_audits});
    swarm.grow_to(8, 500ms);
    swarm.world().run_for(1min);
    const auto object = publish(swarm, {.publisher = 7, .bytes = 4 * mib});
    swarm.world().run_for(1min);
    for (const std::size_t lost : {1, 2, 3})
        swarm.crash(lost);
    CHECK(copies(swarm, object) < 4);
    swarm.world().run_for(1min + 50s);
    CHECK(copies(swarm, object) < 4);
    swarm.world().run_for(40s);
    CHECK(copies(swarm, object) == 4);
    CHECK(readable(swarm, object, swarm.add()));
}

namespace {

/// What sixteen nodes move after they were cut in halves, in each ten seconds until it is over.
struct CutCost {
    std::vector<std::uint64_t> moved;

    std::uint64_t all() const { return std::reduce(moved.begin(), moved.end()); }
    std::uint64_t peak() const { return std::ranges::max(moved); }
    /// The mean while something is moved.
    std::uint64_t steady() const {
        return all() / static_cast<std::uint64_t>(
                           std::ranges::count_if(moved, [](auto bytes) { return bytes > 0; }));
    }
};

CutCost cost_of_cut(ByteCount repair_limit) {
    Swarm swarm({.seed = 63, .grace = 1min, .audit_period = no_audits});
    swarm.grow_to(16, 500ms);
    swarm.world().run_for(30s);
    swarm.limit_repair(repair_limit);
    std::vector<Object> objects;
    for (std::uint64_t i = 0; i < 16; ++i)
        objects.push_back(
            publish(swarm, {.publisher = i, .bytes = mib, .seed = 300 + i, .level = 8}));
    swarm.world().run_for(1min);
    const auto left = numbers(0, 8);
    swarm.cut_off(left);
    CutCost cost;
    for (int window = 0; window < 120; ++window) {
        const auto before = swarm.network().data_bytes();
        swarm.world().run_for(10s);
        cost.moved.push_back(swarm.network().data_bytes() - before);
    }
    for (const auto& object : objects)
        for (const auto& side : {left, numbers(8, 16)})
            check_copies_on(side, swarm, object);
    return cost;
}

}  // namespace

TEST_CASE("what a cut costs is paid at a steady rate, not at once") {
    for (const auto limit : {ByteCount(0), ByteCount(20 * kib)}) {
        const auto cost = cost_of_cut(limit);
        MESSAGE("repair limit " << limit.value / kib << " KiB/s a node: " << cost.all() / kib
                                << " KiB moved, " << cost.steady() / kib
                                << " in ten seconds in the mean, " << cost.peak() / kib
                                << " at most");
        REQUIRE(cost.all() > 8 * mib);
        if (limit.value == 0) continue;
        CHECK(cost.peak() <= 3 * cost.steady());
        CHECK(cost.peak() <= 16 * 10 * limit.value * 105 / 100);
    }
}
