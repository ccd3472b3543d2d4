// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/index_core.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <set>
#include <utility>

#include <flow29/limits.hpp>

#include "core/assert.hpp"
#include "core/clock.hpp"
#include "core/descriptor.hpp"
#include "core/link_local.hpp"

namespace flow29::dht {
namespace {

using namespace std::chrono_literals;

constexpr auto tick_interval = 250ms;
// How long an operation waits for a first neighbour. A caller who looks wants to know sooner.
constexpr Duration put_wait_max = 8s;
constexpr Duration get_wait_max = 4s;
constexpr Duration own_client_wait_max = 1s;
constexpr Duration operation_time_max = 60s;
constexpr std::size_t operations_running_max = 64;

/// Of what both families say of one node, which is dialled first: no gateway translates IPv6. Only
/// who is on the same link can use an address of a link.
int rank(const core::Endpoint& endpoint) {
    if (core::is_link_local(endpoint)) return 2;
    return endpoint.is_v4() ? 1 : 0;
}

/// What both families brought back; contacts nearest first, as they were in each.
void merge(RunnerOutcome& all, RunnerOutcome part, const DhtKey& key) {
    all.ok = all.ok || part.ok;
    std::ranges::move(part.values, std::back_inserter(all.values));
    const auto first = static_cast<std::ptrdiff_t>(all.nodes.size());
    std::ranges::move(part.nodes, std::back_inserter(all.nodes));
    std::ranges::inplace_merge(all.nodes, all.nodes.begin() + first,
                               [&key](const Contact& a, const Contact& b) {
                                   if (a.position != b.position)
                                       return core::nearer(key, a.position, b.position);
                                   return rank(a.endpoint) < rank(b.endpoint);
                               });
}

}  // namespace

IndexCore::IndexCore(asio::io_context& io, OpenDhtIndex::Options options)
    : options_(std::move(options)), io_(io), ticker_(io) {
    FLOW29_ASSERT(!options_.bind.empty());
    for (const core::Endpoint& bind : options_.bind) {
        const auto same = [&bind](const auto& side) { return side->is_v4() == bind.is_v4(); };
        FLOW29_ASSERT(std::ranges::none_of(sides_, same));
        auto on_status = [this, number = sides_.size()] {
            sides_[number]->on_status(core::monotonic_now());
            pump();
        };
        sides_.push_back(
            std::make_unique<IndexSide>(io_, options_, bind, traffic_, std::move(on_status)));
    }
}

Result<void> IndexCore::open() {
    for (const auto& side : sides_)
        if (auto opened = side->open(); !opened) return opened;
    return {};
}

std::vector<IndexSide*> IndexCore::sides_for(const Operation& operation) const {
    std::vector<IndexSide*> right;
    std::vector<IndexSide*> all;
    for (const auto& side : sides_) {
        all.push_back(side.get());
        if (operation.for_v4 == side->is_v4()) right.push_back(side.get());
    }
    return right.empty() ? all : right;
}

void IndexCore::begin(Operation operation) {
    if (operations_.size() >= limits::index_operations_max) return operation.done({});
    const TimePoint now = core::monotonic_now();
    const Duration wait_max = operation.value ? put_wait_max : get_wait_max;
    operation.wait_until = now;
    for (const IndexSide* side : sides_for(operation))
        operation.wait_until =
            std::max(operation.wait_until, std::min(side->hope_until(), now + wait_max));
    operation.deadline = operation.tell_by = TimePoint::max();
    (operation.value ? puts_ : lookups_) += 1;
    const bool is_next = running_ < operations_running_max && places_for(operation, now);
    const OperationId id = ++last_id_;
    operations_.emplace(id, std::move(operation));
    waiting_.push_back(id);
    // The others are looked at by `tick`, and when something changes or ends. Were they for each
    // one that begins, a thousand that wait for a first neighbour would cost a million looks.
    if (is_next) pump();
}

std::optional<std::vector<IndexSide*>> IndexCore::places_for(const Operation& operation,
                                                             TimePoint now) const {
    auto places = sides_for(operation);
    std::vector<IndexSide*> company;
    std::ranges::copy_if(places, std::back_inserter(company), [](const IndexSide* side) {
        return side->can_ask() && side->has_neighbour();
    });
    if (!company.empty()) return company;
    if (now < operation.wait_until) return std::nullopt;
    // Alone, a storing node still asks itself; and a client may be some milliseconds old.
    const auto may_come = [](const IndexSide* side) { return side->stores() && !side->can_ask(); };
    if (std::ranges::any_of(places, may_come) && now < operation.wait_until + own_client_wait_max)
        return std::nullopt;
    std::erase_if(places, [](const IndexSide* side) { return !side->can_ask(); });
    return places;
}

void IndexCore::pump() {
    const TimePoint now = core::monotonic_now();
    std::deque<OperationId> still_waiting;
    while (!waiting_.empty() && running_ < operations_running_max) {
        const OperationId id = waiting_.front();
        waiting_.pop_front();
        const auto found = operations_.find(id);
        if (found == operations_.end()) continue;
        const auto places = places_for(found->second, now);
        if (!places) {
            still_waiting.push_back(id);
        } else if (places->empty()) {
            tell(found->second);
            remove(id);
        } else {
            run(id, found->second, *places);
        }
    }
    waiting_.insert(waiting_.begin(), still_waiting.begin(), still_waiting.end());
}

void IndexCore::run(OperationId id, Operation& operation, const std::vector<IndexSide*>& places) {
    operation.deadline = core::monotonic_now() + operation_time_max;
    ++running_;
    for (IndexSide* side : places)
        operation.parts.push_back({side, side->acquire()});
    OpenDhtRunner::Seen seen;
    if (operation.seen) seen = [this, id](std::vector<RawValue> values) { on_seen(id, values); };
    for (std::size_t i = 0; i < places.size(); ++i) {
        auto done = [this, id, i](RunnerOutcome outcome) { on_part(id, i, std::move(outcome)); };
        OpenDhtRunner& client = places[i]->client();
        if (operation.value)
            client.put(operation.key, *operation.value, operation.expires - core::wall_now(),
                       std::move(done));
        else
            client.get(operation.key, std::move(done), seen);
    }
}

void IndexCore::on_seen(OperationId id, const std::vector<RawValue>& values) {
    const auto found = operations_.find(id);
    if (found != operations_.end() && found->second.done) found->second.seen(values);
}

void IndexCore::on_part(OperationId id, std::size_t part, RunnerOutcome outcome) {
    const auto found = operations_.find(id);
    if (found == operations_.end()) return;
    Operation& operation = found->second;
    auto& [side, generation, ended] = operation.parts[part];
    ended = true;
    side->release(generation);
    side->drop_self(outcome.nodes);
    const bool was_answered = outcome.ok && !outcome.nodes.empty();
    merge(operation.outcome, std::move(outcome), operation.key);
    if (std::ranges::all_of(operation.parts, &Operation::Part::ended)) {
        tell(operation);
        remove(id);
    } else if (was_answered) {
        operation.tell_by = core::monotonic_now() + options_.other_family_max;
    }
    if (!waiting_.empty()) pump();
}

void IndexCore::tell(Operation& operation) {
    if (!operation.done) return;
    if (!operation.parts.empty()) --running_;
    const auto done = std::exchange(operation.done, nullptr);
    done(std::exchange(operation.outcome, {}));
}

void IndexCore::remove(OperationId id) {
    const auto found = operations_.find(id);
    if (found == operations_.end()) return;
    for (const auto& [side, generation, ended] : found->second.parts)
        if (!ended) side->release(generation);
    operations_.erase(found);
}

void IndexCore::give_up(const std::function<bool(const Operation&)>& is_over) {
    std::vector<OperationId> over;
    for (const auto& [id, operation] : operations_)
        if (is_over(operation)) over.push_back(id);
    for (const OperationId id : over) {
        tell(operations_.at(id));
        remove(id);
    }
}

void IndexCore::tick() {
    const TimePoint now = core::monotonic_now();
    for (const auto& side : sides_)
        side->tick(now);
    for (auto& [id, operation] : operations_)
        if (now >= operation.tell_by) tell(operation);
    give_up([now](const Operation& operation) { return now >= operation.deadline; });
    pump();
    ticker_.expires_after(tick_interval);
    ticker_.async_wait([this](const std::error_code& ec) {
        if (!ec) tick();
    });
}

void IndexCore::shut_down() {
    waiting_.clear();
    give_up([](const Operation&) { return true; });
    for (const auto& side : sides_)
        side->shut_down();
    ticker_.cancel();
}

void IndexCore::bootstrap(const std::vector<core::Endpoint>& endpoints) {
    for (const auto& side : sides_)
        side->bootstrap(endpoints, core::monotonic_now());
}

void IndexCore::hear_of(const std::vector<core::Endpoint>& endpoints) {
    for (const auto& side : sides_)
        side->hear_of(endpoints, core::monotonic_now());
}

std::vector<Contact> IndexCore::neighbours() {
    std::vector<Contact> contacts;
    for (const auto& side : sides_)
        std::ranges::move(side->neighbours(), std::back_inserter(contacts));
    return contacts;
}

IndexStatus IndexCore::status() {
    IndexStatus status;
    std::set<DhtKey> positions;
    for (const Contact& contact : neighbours())
        positions.insert(contact.position);
    status.good_nodes = positions.size();
    for (const auto& side : sides_) {
        status.connected = status.connected || side->has_neighbour();
        status.stored_values += side->stored_values();
    }
    status.packets_up = traffic_.packets_up;
    status.packets_down = traffic_.packets_down;
    status.bytes_up = traffic_.bytes_up;
    status.bytes_down = traffic_.bytes_down;
    status.datagrams_dropped = traffic_.datagrams_dropped;
    status.datagrams_foreign = traffic_.datagrams_foreign;
    status.puts = puts_;
    status.lookups = lookups_;
    return status;
}

}  // namespace flow29::dht
