// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/scale/scale_swarm.hpp"

#include <algorithm>
#include <cstring>

#include "core/assert.hpp"

namespace flow29::sim::scale {
namespace {

using namespace std::chrono_literals;

// Some day in 2026, so that start times look like real ones.
constexpr std::uint64_t wall_origin_ms = 1'790'000'000'000;
constexpr std::uint8_t capacity_class = 6;

void fill(std::span<std::uint8_t> bytes, Random& random) {
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
        const std::uint64_t bits = random();
        std::memcpy(bytes.data() + i, &bits, std::min<std::size_t>(8, bytes.size() - i));
    }
}

std::vector<Window> windows_of(Duration length) {
    const TimePoint begin{};
    return {{begin, begin + length}, {begin + length / 3, begin + length}};
}

}  // namespace

ScaleSwarm::ScaleSwarm(Options options, Sessions& sessions)
    : options_(options),
      sessions_(sessions),
      random_(options.seed),
      truth_(options.extents, options.floor, windows_of(options.length)) {
    FLOW29_ASSERT(options_.nodes > 0);
    for (std::size_t number = 0; number < options_.extents; ++number) {
        ExtentHash hash;
        fill(hash.bytes, random_);
        // Its number is in its name, so that no table is needed to find it again.
        const auto tail = static_cast<ExtentNumber>(number);
        std::memcpy(hash.bytes.data(), &tail, sizeof tail);
        extents_.emplace_back().item = proto::ItemId::of(hash);
    }
}

std::uint64_t ScaleSwarm::place_of(ByteView id) {
    std::uint64_t place = 0;
    for (std::size_t i = 0; i < 8; ++i)
        place = place << 8 | id[i];
    return place;
}

ScaleSwarm::ExtentNumber ScaleSwarm::number_of(const proto::ItemId& item) {
    ExtentNumber number = 0;
    std::memcpy(&number, item.hash.data(), sizeof number);
    return number;
}

WallTime ScaleSwarm::wall_at(TimePoint at) const {
    return from_unix_ms(wall_origin_ms) +
           std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch());
}

void ScaleSwarm::after(Duration delay, Event event) {
    event.at = now_ + delay;
    queue_.add(event);
}

void ScaleSwarm::run() {
    start_slots();
    publish_all();
    plan_rot();
    if (options_.drop_fraction > 0) after(options_.drop_period, {.kind = Event::Kind::drop});
    const TimePoint end = TimePoint{} + options_.length;
    while (!queue_.empty() && queue_.next_at() < end) {
        const Event event = queue_.take();
        now_ = event.at;
        handle(event);
        ++events_done_;
        for (const std::uint64_t part :
             {static_cast<std::uint64_t>(now_.time_since_epoch().count()),
              std::uint64_t{event.a} << 32 | event.b,
              std::uint64_t{event.c} << 8 | static_cast<std::uint64_t>(event.kind)})
            trace_ = (trace_ ^ part) * 0x100000001b3U;
    }
    now_ = end;
    truth_.finish(end);
}

void ScaleSwarm::handle(const Event& event) {
    using Kind = Event::Kind;
    // What was meant for an earlier run of a node's process does not concern the present one.
    const auto is_current = [&] {
        return nodes_[event.a].up && nodes_[event.a].session == event.b;
    };
    switch (event.kind) {
        case Kind::turn:
            if (slots_[event.a].turn == event.b) take_turn(event.a);
            return;
        case Kind::death:
            return die(event.a);
        case Kind::noticed:
            return notice();
        case Kind::act:
            if (is_current() && nodes_[event.a].mind->acts_at == event.at) act(event.a);
            return;
        case Kind::audit:
            if (is_current()) audit(event.a);
            return;
        case Kind::pulled:
            if (is_current()) end_pull(event.a, event.c);
            return;
        case Kind::unreached:
            return end_unreached();
        case Kind::gossip:
            if (!is_current()) return;
            if (event.c != every_extent) {
                tell(event.a, event.c);
                return widen(event.a, event.c);
            }
            for (const ExtentNumber extent : nodes_[event.a].kept)
                widen(event.a, extent);
            return;
        case Kind::drop:
            return drop_many();
        case Kind::rot:
            rot();
            return plan_rot();
    }
}

ScaleSwarm::NodeNumber ScaleSwarm::add_node(std::uint32_t slot) {
    const auto number = static_cast<NodeNumber>(nodes_.size());
    Node& node = nodes_.emplace_back();
    fill(node.record.key.bytes, random_);
    // Each in an address group of its own.
    core::Endpoint endpoint;
    endpoint.address = {0x20, 0x01, 0x0d, 0xb8};
    std::memcpy(endpoint.address.data() + 2, &number, sizeof number);
    endpoint.port = 2929;
    node.record.addresses = {endpoint};
    node.record.capacity_class = capacity_class;
    node.record.storing = true;
    node.id = node.record.node();
    node.place = place_of(node.id.view());
    node.slot = slot;
    numbers_.emplace(node.id, number);
    slots_[slot].node = number;
    return number;
}

void ScaleSwarm::start_slots() {
    slots_.resize(options_.nodes);
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
        const NodeNumber number = add_node(slot);
        const Sessions::Start start = sessions_.start(slot);
        slots_[slot].up = start.up;
        if (start.up) come_up(number, now_ - start.since);
        after(start.left, {.kind = Event::Kind::turn, .a = slot, .b = slots_[slot].turn});
        if (options_.life > Duration::zero()) plan_death(slot);
    }
    note_sizes();
}

void ScaleSwarm::plan_death(std::uint32_t slot) {
    const double lives = random_.exponential() * static_cast<double>(options_.life.count());
    after(Duration(static_cast<Duration::rep>(lives)), {.kind = Event::Kind::death, .a = slot});
}

void ScaleSwarm::take_turn(std::uint32_t number) {
    Slot& slot = slots_[number];
    slot.up = !slot.up;
    ++slot.turn;
    if (slot.up)
        come_up(slot.node, now_);
    else
        go_down(slot.node);
    after(sessions_.next(number, slot.up),
          {.kind = Event::Kind::turn, .a = number, .b = slot.turn});
    note_sizes();
}

void ScaleSwarm::come_up(NodeNumber number, TimePoint since) {
    Node& node = nodes_[number];
    FLOW29_ASSERT(!node.up && !node.dead);
    node.up = true;
    ++node.session;
    node.record.started_ms = to_unix_ms(wall_at(since));
    node.record.sequence = to_unix_ms(wall_at(now_));
    node.link_free_at = now_;
    ring_.insert(node.place, number);
    truth_.count(&Totals::joins, now_);

    Mind::Options options;
    options.table = {.self = node.id, .grace = options_.grace, .youth = options_.youth};
    options.planner = {.self = node.id,
                       .spare = options_.spare,
                       .spare_from = options_.spare_from,
                       .takeover = options_.takeover};
    options.planner.settle = options_.settle;
    options.auditor = {.period = options_.audit_period,
                       .probes_per_period = options_.audit_probes,
                       .seed = random_()};
    node.mind = std::make_unique<Mind>(options);
    node.mind->announcer.on_network_size(ring_.size(), now_);
    for (const ExtentNumber extent : node.kept) {
        if (has(node, extent)) truth_.on_copy_live(extent, now_);
        insert(extents_[extent].live_holders, number);
        take_up(number, extent);
    }
    for (const NodeNumber other : ring_.nearest(node.place, options_.neighbours + 1))
        if (other != number) connect(number, other);
    for (const NodeNumber other : node.acquaintances)
        nodes_[other].up ? connect(number, other) : expect_again(number, other);
    after(options_.gossip,
          {.kind = Event::Kind::gossip, .a = number, .b = node.session, .c = every_extent});
    after(1min, {.kind = Event::Kind::audit, .a = number, .b = node.session});
    touch(number);
}

void ScaleSwarm::go_down(NodeNumber number) {
    Node& node = nodes_[number];
    FLOW29_ASSERT(node.up);
    for (const ExtentNumber extent : node.kept) {
        if (has(node, extent)) truth_.on_copy_away(extent, now_);
        erase(extents_[extent].live_holders, number);
    }
    for (const NodeId& holder : node.mind->planner.holding_nodes())
        insert(node.acquaintances, numbers_.at(holder));
    Departure departure{.node = number, .watchers = {}};
    for (const NodeNumber peer : node.peers) {
        erase(nodes_[peer].peers, number);
        departure.watchers.emplace_back(peer, nodes_[peer].session);
    }
    links_ -= node.peers.size();
    node.peers.clear();
    departures_.push_back(std::move(departure));
    after(options_.detection, {.kind = Event::Kind::noticed});
    const auto& counts = node.mind->auditor.counts();
    audits_.passed += counts.passed;
    audits_.failed += counts.failed;
    audits_.silent += counts.silent;
    node.pulls.clear();
    node.mind.reset();
    node.up = false;
    ring_.erase(node.place);
}

void ScaleSwarm::die(std::uint32_t number) {
    Slot& slot = slots_[number];
    Node& node = nodes_[slot.node];
    if (node.up) go_down(slot.node);
    for (const ExtentNumber extent : node.kept)
        if (has(node, extent)) truth_.on_copy_lost(extent, now_);
    for (const Extent& extent : extents_)
        if (std::ranges::find(extent.first_slots, number) != extent.first_slots.end())
            truth_.count(&Totals::oracle_copies, now_);
    node.dead = true;
    node.acquaintances = {};
    const NodeNumber newborn = add_node(number);
    if (slot.up) come_up(newborn, now_);
    plan_death(number);
    note_sizes();
}

void ScaleSwarm::drop_many() {
    for (std::uint32_t number = 0; number < slots_.size(); ++number) {
        const bool is_hit = random_.uniform() < options_.drop_fraction;
        if (is_hit && slots_[number].up) take_turn(number);
    }
    after(options_.drop_period, {.kind = Event::Kind::drop});
}

/// The peers of the node that went down longest ago miss it, unless they met it again since.
void ScaleSwarm::notice() {
    const Departure departure = std::move(departures_.front());
    departures_.pop_front();
    const NodeId id = nodes_[departure.node].id;
    for (const auto& [watcher, session] : departure.watchers) {
        const Node& node = nodes_[watcher];
        if (!node.up || node.session != session || connected(watcher, departure.node)) continue;
        node.mind->table.on_missing(id, now_);
        node.mind->planner.on_node_changed(id, now_);
        touch(watcher);
    }
}

void ScaleSwarm::note_sizes() {
    truth_.on_nodes_changed(slots_.size(), ring_.size(), links_, now_);
}

void ScaleSwarm::check_invariants() const {
    std::vector<unsigned> live(extents_.size());
    std::vector<unsigned> stored(extents_.size());
    std::size_t links = 0;
    for (const Node& node : nodes_) {
        FLOW29_ASSERT(node.up == (node.mind != nullptr));
        links += node.peers.size();
        for (const ExtentNumber extent : node.kept) {
            if (node.dead || !has(node, extent)) continue;
            ++stored[extent];
            if (node.up) ++live[extent];
        }
        if (!node.up) continue;
        node.mind->table.check_invariants();
        node.mind->planner.check_invariants();
        node.mind->announcer.check_invariants();
        const auto counts = node.mind->planner.counts();
        FLOW29_ASSERT(counts.items == node.kept.size());
        // What it counted step by step is what counting anew gives.
        std::size_t copies = 0;
        for (const ExtentNumber extent : node.kept)
            copies += node.mind->planner.copies(extents_[extent].item);
        FLOW29_ASSERT(counts.sum_copies == copies);
    }
    FLOW29_ASSERT(links == 2 * links_);
    for (std::uint32_t extent = 0; extent < extents_.size(); ++extent) {
        FLOW29_ASSERT(live[extent] == truth_.live(extent));
        FLOW29_ASSERT(stored[extent] == truth_.stored(extent));
    }
}

}  // namespace flow29::sim::scale
