// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/fair_share.hpp"

#include <algorithm>

#include "core/assert.hpp"

namespace flow29::proto {
namespace {

constexpr std::uint64_t quantum_min = 1024;
constexpr std::uint64_t quantum_max = 64 * 1024;
constexpr std::uint64_t turns_per_second = 16;

constexpr std::size_t index_of(FairShare::Class as) {
    return static_cast<std::size_t>(as);
}

/// What octets of a class count for, so that the classes compare.
constexpr std::uint64_t weighed(FairShare::Class as, std::uint64_t octets) {
    return as == FairShare::Class::foreground ? octets : octets * FairShare::foreground_weight;
}

}  // namespace

FairShare::FlowId FairShare::add() {
    const FlowId id{++last_flow_};
    flows_.emplace(id, Flow{});
    return id;
}

void FairShare::stop_waiting(FlowId id, Flow& flow) {
    if (!flow.waits) return;
    queues_[index_of(*flow.waits)].waiting.erase({{flow.waits_at, flow.since}, id});
    flow.waits.reset();
}

void FairShare::remove(FlowId id) {
    const auto found = flows_.find(id);
    FLOW29_ASSERT(found != flows_.end());
    stop_waiting(id, found->second);
    flows_.erase(found);
}

void FairShare::want(FlowId id, Class as) {
    Flow& flow = flows_.at(id);
    if (flow.waits == as) return;
    stop_waiting(id, flow);
    Queue& queue = queues_[index_of(as)];
    if (queue.waiting.empty()) queue.had = std::max(queue.had, reached_);
    flow.waits = as;
    flow.waits_at = std::max(flow.had[index_of(as)], queue.reached);
    flow.since = ++last_ask_;
    queue.waiting.insert({{flow.waits_at, flow.since}, id});
}

FairShare::Class FairShare::next_class() const {
    const Queue& foreground = queues_[index_of(Class::foreground)];
    const Queue& background = queues_[index_of(Class::background)];
    if (background.waiting.empty()) return Class::foreground;
    if (foreground.waiting.empty()) return Class::background;
    return foreground.had <= background.had ? Class::foreground : Class::background;
}

std::optional<FairShare::Turn> FairShare::poll_turn(TimePoint now) {
    const Class as = next_class();
    Queue& queue = queues_[index_of(as)];
    if (queue.waiting.empty() || budget_.ready_at() > now) return std::nullopt;
    const FlowId id = queue.waiting.begin()->second;
    Flow& flow = flows_.at(id);
    const Turn turn{id, quantum()};
    queue.reached = flow.waits_at;
    flow.had[index_of(as)] = flow.waits_at + turn.octets.value;
    reached_ = queue.had;
    queue.had += weighed(as, turn.octets.value);
    stop_waiting(id, flow);
    budget_.charge(turn.octets, now);
    return turn;
}

void FairShare::give_back(FlowId id, ByteCount octets) {
    Flow& flow = flows_.at(id);
    // Of which class the turn was does not matter much: a flow is rarely in both.
    for (Tag& had : flow.had)
        had -= std::min(had, octets.value);
    budget_.give_back(octets);
}

std::optional<TimePoint> FairShare::next_deadline() const {
    const auto empty = [](const Queue& queue) { return queue.waiting.empty(); };
    if (std::ranges::all_of(queues_, empty)) return std::nullopt;
    return budget_.ready_at();
}

ByteCount FairShare::quantum() const {
    return ByteCount(std::clamp(budget_.rate().value / turns_per_second, quantum_min, quantum_max));
}

void FairShare::check_invariants() const {
    std::size_t waiting = 0;
    for (const auto& [id, flow] : flows_) {
        if (!flow.waits) continue;
        ++waiting;
        FLOW29_ASSERT(
            queues_[index_of(*flow.waits)].waiting.contains({{flow.waits_at, flow.since}, id}));
    }
    FLOW29_ASSERT(waiting == queues_[0].waiting.size() + queues_[1].waiting.size());
}

}  // namespace flow29::proto
