// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <deque>
#include <memory>
#include <random>

#include <flow29/limits.hpp>
#include "copy_world.hpp"
#include "proto/pledge_book.hpp"

// Which copies may go because there are more than are wanted.

namespace flow29::proto {
namespace {

TEST_CASE("a copy may go exactly when as many as are wanted are kept by others that live") {
    for (std::uint32_t others = 0; others <= 6; ++others) {
        World w(6, holder());
        const auto item = fake_item(1);
        w.add(1);
        for (std::uint32_t node = 1; node <= others; ++node)
            w.planner.on_copy(item, fake_node(node), at(0s));
        CHECK(w.planner.others_to_rely_on(item).size() == (others >= 4 ? others : 0));
    }
}

TEST_CASE("nobody relies on those who are missing, nor on fewer than are wanted") {
    World w(6, holder());
    const auto item = fake_item(1);
    w.add(1);
    for (std::uint32_t node = 1; node <= 6; ++node)
        w.planner.on_copy(item, fake_node(node), at(0s));
    const auto others = w.planner.others_to_rely_on(item);
    REQUIRE(others.size() == 6);
    for (std::size_t count = 0; count <= others.size(); ++count)
        CHECK(w.planner.are_enough(item, slice(others, 0, count)) == (count >= 4));
    // Missing within the grace period they count as copies, but nobody can rely on them.
    w.table.on_missing(others[0], at(1s));
    w.planner.on_node_changed(others[0], at(1s));
    CHECK_FALSE(w.planner.are_enough(item, slice(others, 0, 5)));
    CHECK(w.planner.are_enough(item, slice(others, 1, 5)));
    CHECK(w.planner.others_to_rely_on(item).size() == 5);
    w.planner.on_no_copy(item, others[1], at(1s));
    CHECK_FALSE(w.planner.are_enough(item, slice(others, 1, 5)));
    CHECK(w.planner.are_enough(item, slice(others, 2, 6)));
}

TEST_CASE("copies that are not more than wanted stay, and so does a publisher's") {
    World w(8, holder());
    const auto item = fake_item(1);
    w.add(1, 5);
    for (std::uint32_t node = 1; node <= 4; ++node)
        w.planner.on_copy(item, fake_node(node), at(0s));
    CHECK(w.planner.others_to_rely_on(item).empty());
    for (std::uint32_t node = 5; node <= 8; ++node)
        w.planner.on_copy(item, fake_node(node), at(0s));
    CHECK(w.planner.others_to_rely_on(item).size() == 8);
    w.planner.set_bystander(item);
    CHECK(w.planner.others_to_rely_on(item).empty());
    CHECK(w.planner.others_to_rely_on(fake_item(2)).empty());
}

TEST_CASE("a copy stays when the others would be in fewer address groups without it") {
    const auto in_group = [](std::uint32_t number, std::uint8_t group) {
        auto made = fake_record(number);
        made.addresses[0].address[14] = group;
        return made;
    };
    const auto item = fake_item(1);
    for (const bool apart : {false, true}) {
        World w(0, holder());
        w.table.set_self_group(in_group(0, 100).addresses[0].group());
        for (std::uint32_t node = 1; node <= 6; ++node) {
            const auto group = static_cast<std::uint8_t>(101 + (apart ? node % 4 : node % 3));
            w.table.on_alive(in_group(node, group), at(0s));
        }
        w.add(1);
        for (std::uint32_t node = 1; node <= 6; ++node)
            w.planner.on_copy(item, fake_node(node), at(0s));
        const auto others = w.planner.others_to_rely_on(item);
        CHECK(others.empty() == !apart);
        if (!apart) continue;
        // One of each group first, so that the first four will do.
        CHECK(w.planner.are_enough(item, slice(others, 0, 4)));
        const std::vector<NodeId> two_in_one{fake_node(1), fake_node(5), fake_node(2),
                                             fake_node(3)};
        CHECK_FALSE(w.planner.are_enough(item, two_in_one));
    }
}

TEST_CASE("what was pledged is not let go before the pledge is over") {
    PledgeBook book;
    const auto item = fake_item(1);
    REQUIRE(book.pledge(item, false, at(0s)));
    CHECK(book.is_pledged(item, at(limits::pledge_lifetime - 1s)));
    CHECK_FALSE(book.begin(item, at(limits::pledge_lifetime - 1s)));
    CHECK_FALSE(book.is_pledged(item, at(limits::pledge_lifetime)));
    CHECK(book.begin(item, at(limits::pledge_lifetime)));
    CHECK_FALSE(book.begin(fake_item(2), at(limits::pledge_lifetime)));  // one at a time
    book.end();
    CHECK(book.begin(fake_item(2), at(limits::pledge_lifetime)));
}

TEST_CASE("only so much is pledged at a time") {
    PledgeBook book;
    for (std::uint32_t i = 0; i < limits::pledges_max; ++i)
        REQUIRE(book.pledge(fake_item(i), false, at(0s)));
    CHECK_FALSE(book.pledge(fake_item(limits::pledges_max), false, at(1s)));
    CHECK(book.pledge(fake_item(1), false, at(1s)));  // which is pledged already
    CHECK(book.pledge(fake_item(limits::pledges_max), false, at(limits::pledge_lifetime)));
}

TEST_CASE("of two that want to let go of the same, the one that ranks last does") {
    const auto item = fake_item(1);
    for (const bool asker_yields : {false, true}) {
        PledgeBook book;
        REQUIRE(book.begin(item, at(0s)));
        CHECK(book.pledge(item, asker_yields, at(1s)) == !asker_yields);
        CHECK(book.commit(at(2s)) == asker_yields);
        if (!asker_yields) continue;
        CHECK_FALSE(book.pledge(item, false, at(2s)));  // it is going
        CHECK(book.pledge(fake_item(2), false, at(2s)));
    }
}

TEST_CASE("what took too long to agree on is not let go") {
    PledgeBook book;
    REQUIRE(book.begin(fake_item(1), at(0s)));
    CHECK_FALSE(book.commit(at(limits::pledge_lifetime)));
}

/// Holders of one item that all want to let go, each with beliefs of its own about who else holds
/// it. What they ask and answer arrives in any order, after any time.
class Crowd {
  public:
    Crowd(std::uint32_t holders, std::uint64_t seed) : random_(seed), item_(fake_item(1)) {
        for (std::uint32_t self = 0; self < holders; ++self) {
            auto& node = nodes_.emplace_back(std::make_unique<Node>(fake_node(self)));
            node->planner.add_item(item_, RootHash{}, mebibyte, 4);
            for (std::uint32_t other = 0; other < holders; ++other) {
                if (other == self || chance(4)) continue;
                node->table.on_alive(fake_record(other), now_);
                node->planner.on_copy(item_, fake_node(other), now_);
            }
        }
    }

    void run(unsigned steps) {
        for (unsigned step = 0; step < steps; ++step) {
            now_ += std::chrono::seconds(random_() % 5);
            auto& node = *nodes_[random_() % nodes_.size()];
            if (!node.holds) continue;
            if (!node.asking)
                begin(node);
            else
                ask_next(node);
        }
    }
    std::size_t holding() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(nodes_, [](const auto& node) { return node->holds; }));
    }

  private:
    struct Node {
        explicit Node(const NodeId& id) : self(id), table({.self = id}) {}
        NodeId self;
        NodeTable table;
        CopyPlanner planner{table, {.self = self, .settle = 0s}};
        PledgeBook book;
        bool holds = true;
        bool asking = false;
        std::deque<NodeId> to_ask;
        std::vector<NodeId> agreed;
    };

    bool chance(unsigned one_in) { return random_() % one_in == 0; }
    Node& find(const NodeId& id) {
        return **std::ranges::find(nodes_, id, [](const auto& node) { return node->self; });
    }
    void begin(Node& node) {
        const auto others = node.planner.others_to_rely_on(item_);
        if (others.empty() || !node.book.begin(item_, now_)) return;
        node.asking = true;
        node.to_ask.assign(others.begin(), others.end());
        node.agreed.clear();
    }
    void ask_next(Node& node) {
        if (!node.to_ask.empty()) {
            auto& other = find(node.to_ask.front());
            node.to_ask.pop_front();
            const bool yields = other.planner.ranks_before_us(item_, node.self);
            if (other.holds && other.book.pledge(item_, yields, now_))
                node.agreed.push_back(other.self);
        }
        const bool enough = node.planner.are_enough(item_, node.agreed);
        if (!enough && !node.to_ask.empty()) return;
        if (enough && node.book.commit(now_)) node.holds = false;  // and nobody hears of it
        node.book.end();
        node.asking = false;
    }

    std::mt19937_64 random_;
    ItemId item_;
    TimePoint now_ = at(0s);
    std::vector<std::unique_ptr<Node>> nodes_;
};

TEST_CASE("whoever lets go at the same time on whatever beliefs, enough copies stay") {
    unsigned several_went = 0;
    unsigned rounds = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        const auto holders = static_cast<std::uint32_t>(5 + seed % 10);
        Crowd crowd(holders, seed);
        crowd.run(2000);
        CHECK(crowd.holding() >= 4);
        if (holders - crowd.holding() > 1) ++several_went;
        ++rounds;
    }
    MESSAGE(several_went << " of " << rounds << " times more than one let go");
    CHECK(several_went > rounds / 4);
}

}  // namespace
}  // namespace flow29::proto
