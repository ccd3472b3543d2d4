// SPDX-License-Identifier: GPL-3.0-or-later
// Several CopyPlanners, each with its own view, on fake nodes in virtual time.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>

#include "fake_nodes.hpp"
#include "proto/copy_planner.hpp"

namespace flow29::proto {
namespace {

using namespace std::chrono_literals;

constexpr unsigned copies_wanted = 4;

struct Machine {
    std::uint32_t number;
    NodeId id;
    bool on = true;
    std::set<ItemId> stored;
    std::set<ItemId> coming;
    NodeTable table;
    std::unique_ptr<CopyPlanner> planner;

    Machine(std::uint32_t n, bool publishes) : number(n), id(fake_node(n)), table({.self = id}) {
        start_planner(publishes);
    }
    void start_planner(bool publishes) {
        CopyPlanner::Options options{.self = id};
        options.self_is_copy = !publishes;
        options.always_act = publishes;
        options.settle = 20s;
        planner = std::make_unique<CopyPlanner>(table, options);
    }
};

class Swarm {
  public:
    Swarm(unsigned seed, std::uint32_t machines) : random_(seed) {
        for (std::uint32_t n = 0; n < machines; ++n)
            machines_.push_back(std::make_unique<Machine>(n, n == 0));
        for (auto& machine : machines_)
            for (std::uint32_t n = 1; n < machines; ++n)
                machine->table.on_alive(fake_record(n), now_);
    }

    Machine& operator[](std::uint32_t n) { return *machines_[n]; }
    std::uint32_t size() const { return static_cast<std::uint32_t>(machines_.size()); }
    unsigned invitations() const { return invitations_; }
    unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

    void publish(std::uint32_t item) {
        machines_[0]->planner->add_item(fake_item(item), {}, ByteCount(1 << 20), copies_wanted);
        machines_[0]->stored.insert(fake_item(item));
    }

    /// Its neighbours notice in seconds.
    void switch_off(std::uint32_t n) {
        Machine& off = *machines_[n];
        off.on = false;
        off.coming.clear();
        for (auto& other : machines_) {
            const NodeId id = off.id;
            Machine* observer = other.get();
            later(seconds(3, 8), [=, this] {
                if (machines_[n]->on || !observer->on) return;
                observer->table.on_missing(id, now_);
                observer->planner->on_node_changed(id, now_);
            });
        }
    }
    /// Back with what it had stored, or with an empty disk.
    void switch_on(std::uint32_t n, bool disk_lost) {
        Machine& back = *machines_[n];
        back.on = true;
        if (disk_lost) {
            back.stored.clear();
            back.start_planner(false);
        }
        for (auto& other : machines_) {
            if (!other->on || other->id == back.id) continue;
            if (other->number != 0) back.table.on_alive(fake_record(other->number), now_);
            back.planner->on_node_changed(other->id, now_);
            other->table.on_alive(fake_record(n), now_);
            other->planner->on_node_changed(back.id, now_);
            for (const ItemId& item : other->planner->items_of(back.id)) {
                // Who returns is asked what it still has, and hears who else has it.
                if (!back.stored.contains(item))
                    other->planner->on_no_copy(item, back.id, now_);
                else
                    tell_holders(*other, item);
            }
        }
    }

    void run(Duration duration) {
        const TimePoint end = now_ + duration;
        for (; now_ < end; now_ += 200ms) {
            while (!events_.empty() && events_.top().at <= now_) {
                const auto action = events_.top().action;
                events_.pop();
                action();
            }
            for (auto& machine : machines_)
                if (machine->on) turn(*machine);
        }
        for (auto& machine : machines_)
            machine->planner->check_invariants();
    }

    /// On machines that are on, other than the publisher.
    unsigned live_copies(std::uint32_t item) const {
        unsigned count = 0;
        for (const auto& machine : machines_)
            if (machine->number != 0 && machine->on && machine->stored.contains(fake_item(item)))
                ++count;
        return count;
    }

  private:
    struct Event {
        TimePoint at;
        std::uint64_t order;
        std::function<void()> action;
        bool operator<(const Event& other) const {
            return std::tie(at, order) > std::tie(other.at, other.order);
        }
    };

    void later(Duration delay, std::function<void()> action) {
        events_.push({now_ + delay, next_order_++, std::move(action)});
    }
    Duration seconds(unsigned from, unsigned to) {
        return std::chrono::milliseconds(from * 1000 + below((to - from) * 1000));
    }
    Duration latency() { return std::chrono::milliseconds(5 + below(100)); }

    Machine& by_id(const NodeId& id) {
        return **std::ranges::find_if(machines_, [&](const auto& m) { return m->id == id; });
    }

    void turn(Machine& machine) {
        for (const NodeId& gone : machine.table.expire(now_))
            machine.planner->on_node_changed(gone, now_);
        while (const auto invitation = machine.planner->poll_invite(now_, wall(0s))) {
            ++invitations_;
            Machine* inviter = &machine;
            Machine* target = &by_id(invitation->target);
            const ItemId item = invitation->item;
            later(latency(), [=, this] { on_invite(*inviter, *target, item); });
        }
    }

    void on_invite(Machine& inviter, Machine& target, const ItemId& item) {
        if (!target.on) return;  // silence: the inviter's patience ends it
        const auto answer = target.stored.contains(item)   ? InviteAnswer::held
                            : target.coming.contains(item) ? InviteAnswer::coming
                            : below(20) == 0               ? InviteAnswer::busy
                                                           : InviteAnswer::accepted;
        Machine* from = &inviter;
        Machine* to = &target;
        later(latency(), [=, this] {
            if (!from->on) return;
            from->planner->on_answer(item, to->id, answer, now_);
            if (answer == InviteAnswer::held) tell_holders(*from, item);
        });
        if (answer == InviteAnswer::coming)
            later(seconds(4, 5), [=, this] { on_stored(*from, *to, item); });
        if (answer != InviteAnswer::accepted) return;
        target.coming.insert(item);
        later(seconds(1, 4), [=, this] {
            if (!to->on || to->coming.erase(item) == 0) return;
            to->stored.insert(item);
            to->planner->add_item(item, {}, ByteCount(1 << 20), copies_wanted);
            later(latency(), [=, this] { on_stored(*from, *to, item); });
        });
    }

    void on_stored(Machine& inviter, Machine& holder, const ItemId& item) {
        if (!inviter.on || !holder.on || !holder.stored.contains(item)) return;
        inviter.planner->on_copy(item, holder.id, now_);
        tell_holders(inviter, item);
    }

    /// UpdateHolders to every holder that `from` knows.
    void tell_holders(Machine& from, const ItemId& item) {
        std::vector<NodeId> known = from.planner->holders(item);
        if (from.number != 0) known.push_back(from.id);
        for (const NodeId& id : from.planner->holders(item)) {
            Machine* to = &by_id(id);
            later(latency(), [=, this] {
                if (!to->on || !to->stored.contains(item)) return;
                for (const NodeId& holder : known)
                    to->planner->on_copy(item, holder, now_);
            });
        }
    }

    std::mt19937_64 random_;
    std::vector<std::unique_ptr<Machine>> machines_;
    std::priority_queue<Event> events_;
    TimePoint now_ = at(0s);
    std::uint64_t next_order_ = 0;
    unsigned invitations_ = 0;
};

TEST_CASE("a swarm of planners replaces a lost node's copies, each once") {
    constexpr std::uint32_t items = 30;
    for (unsigned seed = 1; seed <= 5; ++seed) {
        CAPTURE(seed);
        Swarm swarm(seed, 16);
        for (std::uint32_t i = 0; i < items; ++i)
            swarm.publish(i);
        swarm.run(1min);
        for (std::uint32_t i = 0; i < items; ++i)
            REQUIRE(swarm.live_copies(i) == copies_wanted);
        CHECK(swarm.invitations() < items * copies_wanted * 13 / 10);
        swarm.switch_off(0);  // the publisher may leave

        const auto victim = 1 + swarm.below(15);
        const std::size_t lost = swarm[victim].stored.size();
        const unsigned before = swarm.invitations();
        swarm.switch_off(victim);
        swarm.run(4min);
        CHECK(swarm.invitations() == before);  // a reboot would cost nothing
        swarm.run(3min);
        for (std::uint32_t i = 0; i < items; ++i) {
            REQUIRE(swarm.live_copies(i) >= copies_wanted);
            REQUIRE(swarm.live_copies(i) <= copies_wanted + 1);
        }
        CHECK(swarm.invitations() - before <= lost * 2);
    }
}

TEST_CASE("a node back within the grace period costs no repair") {
    Swarm swarm(1, 12);
    for (std::uint32_t i = 0; i < 20; ++i)
        swarm.publish(i);
    swarm.run(1min);
    const unsigned before = swarm.invitations();
    for (std::uint32_t n = 1; n < 12; ++n) {
        swarm.switch_off(n);
        swarm.run(2min);
        swarm.switch_on(n, false);
        swarm.run(1min);
    }
    CHECK(swarm.invitations() == before);
}

TEST_CASE("a swarm of planners comes back to its copies under random churn") {
    constexpr std::uint32_t items = 20;
    for (unsigned seed = 1; seed <= 6; ++seed) {
        CAPTURE(seed);
        Swarm swarm(seed, 20);
        for (std::uint32_t i = 0; i < items; ++i)
            swarm.publish(i);
        swarm.run(1min);
        swarm.switch_off(0);
        std::set<std::uint32_t> off;
        for (unsigned step = 0; step < 25; ++step) {
            // At most three are away at a time, so that no item loses all its holders at once.
            if (off.size() < 3) {
                const auto n = 1 + swarm.below(swarm.size() - 1);
                if (off.insert(n).second) swarm.switch_off(n);
            } else {
                const std::uint32_t n = *std::next(off.begin(), swarm.below(3));
                off.erase(n);
                swarm.switch_on(n, swarm.below(3) == 0);
            }
            swarm.run(1min * (1 + swarm.below(8)));
        }
        swarm.run(8min);
        for (std::uint32_t i = 0; i < items; ++i) {
            CAPTURE(i);
            REQUIRE(swarm.live_copies(i) >= copies_wanted);
        }
    }
}

}  // namespace
}  // namespace flow29::proto
