// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/index_core.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <flow29/limits.hpp>

#include "core/assert.hpp"
#include "core/descriptor.hpp"

namespace flow29::dht {
namespace {

using namespace std::chrono_literals;

constexpr auto tick_interval = 250ms;
constexpr Duration bootstrap_interval = 3s;
// How long an operation waits for a first neighbour. A caller who looks wants to know sooner.
constexpr Duration put_wait_max = 8s;
constexpr Duration get_wait_max = 4s;
constexpr Duration own_client_wait_max = 1s;
// A node looks for the neighbours of its own position when it has joined, and again as they come.
constexpr Duration explore_interval_min = 1s;
constexpr Duration explore_interval_max = 5min;
constexpr Duration operation_time_max = 60s;
constexpr std::size_t operations_running_max = 64;

TimePoint monotonic_now() {
    return TimePoint(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

WallTime wall_now() {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now());
}

/// An address at which this machine reaches a socket of its own.
core::Endpoint reachable(core::Endpoint endpoint) {
    if (!endpoint.is_unspecified()) return endpoint;
    const char* loopback = endpoint.is_v4() ? "127.0.0.1:1" : "[::1]:1";
    const auto parsed = core::Endpoint::parse(loopback);
    FLOW29_ASSERT(parsed.has_value());
    return {parsed->address, endpoint.port};
}

}  // namespace

IndexCore::IndexCore(asio::io_context& io, OpenDhtIndex::Options options)
    : options_(std::move(options)),
      io_(io),
      ticker_(io),
      rules_({.self = options_.identity->id(),
              .bound_to_loopback = options_.bind.is_loopback(),
              .loopback_is_diverse =
                  options_.loopback_is_diverse.value_or(options_.bind.is_loopback()),
              .records_per_group = options_.records_per_group}),
      clients_(
          io,
          {.bind = {options_.bind.address, 0},
           .network = options_.network,
           .operations_max = options_.client_operations_max,
           .age_max = options_.client_age_max,
           .line = options_.line,
           .swarm_key = options_.swarm_key},
          traffic_, [this](OpenDhtRunner& client) { introduce(client); }, [this] { on_status(); }) {
}

Result<void> IndexCore::open() {
    const TimePoint now = monotonic_now();
    if (options_.storing) {
        OpenDhtRunner::Options server_options;
        server_options.bind = options_.bind;
        server_options.identity = options_.identity;
        server_options.position = core::dht_position(options_.identity->id());
        server_options.network = options_.network;
        server_options.rules = &rules_;
        server_options.line = options_.line;
        server_options.swarm_key = options_.swarm_key;
        auto started = OpenDhtRunner::start(
            io_, server_options, traffic_,
            {.on_status = [this] { on_status(); },
             .on_request = [this](const core::Endpoint& from) { greet(from); }});
        if (!started) return fail(started.error());
        server_ = std::move(*started);
    }
    if (options_.saved.size() > limits::bootstrap_endpoints_max)
        options_.saved.resize(limits::bootstrap_endpoints_max);
    if (server_) server_->insert(options_.saved);
    for (const Contact& contact : options_.saved)
        bootstrap_endpoints_.push_back(contact.endpoint);
    if (!bootstrap_endpoints_.empty()) hope_until_ = now + put_wait_max;
    const auto first_client = clients_.start(now);
    if (!first_client) return first_client;
    local_ = server_ ? server_->local_endpoint() : clients_.current().local_endpoint();
    return {};
}

void IndexCore::introduce(OpenDhtRunner& client) {
    if (server_) {
        client.ping(reachable(server_->local_endpoint()));
        client.insert(server_->good_nodes());
        return;
    }
    const auto known = clients_.connected() ? clients_.current().good_nodes() : options_.saved;
    client.insert(known);
    for (std::size_t i = 0; i < std::min<std::size_t>(known.size(), 8); ++i)
        client.ping(known[i].endpoint);
}

void IndexCore::begin(Operation operation) {
    if (operations_.size() >= limits::index_operations_max) return operation.done({});
    const TimePoint now = monotonic_now();
    operation.wait_until =
        std::clamp(hope_until_, now, now + (operation.value ? put_wait_max : get_wait_max));
    operation.deadline = TimePoint::max();
    (operation.value ? puts_ : lookups_) += 1;
    const bool is_next = running_ < operations_running_max && may_go_on(operation, now);
    const OperationId id = ++last_id_;
    operations_.emplace(id, std::move(operation));
    waiting_.push_back(id);
    // The others are looked at by `tick`, and when something changes or ends. Were they for each
    // one that begins, a thousand that wait for a first neighbour would cost a million looks.
    if (is_next) pump();
}

bool IndexCore::may_go_on(const Operation& operation, TimePoint now) const {
    const bool is_patient = now < operation.wait_until;
    // Alone, a storing node still asks itself; and a client may be some milliseconds old.
    if (clients_.connected()) return has_neighbour() || !is_patient;
    return !is_patient && (!server_ || now >= operation.wait_until + own_client_wait_max);
}

void IndexCore::pump() {
    const TimePoint now = monotonic_now();
    std::deque<OperationId> still_waiting;
    while (!waiting_.empty() && running_ < operations_running_max) {
        const OperationId id = waiting_.front();
        waiting_.pop_front();
        const auto found = operations_.find(id);
        if (found == operations_.end()) continue;
        if (!may_go_on(found->second, now))
            still_waiting.push_back(id);
        else if (clients_.connected())
            run(id, found->second);
        else
            complete(id, {});
    }
    waiting_.insert(waiting_.begin(), still_waiting.begin(), still_waiting.end());
}

void IndexCore::run(OperationId id, Operation& operation) {
    operation.client = clients_.acquire();
    operation.deadline = monotonic_now() + operation_time_max;
    ++running_;
    auto done = [this, id](RunnerOutcome outcome) { complete(id, std::move(outcome)); };
    if (operation.value)
        clients_.current().put(operation.key, *operation.value, operation.expires - wall_now(),
                               std::move(done));
    else
        clients_.current().get(operation.key, std::move(done), operation.seen);
}

void IndexCore::complete(OperationId id, RunnerOutcome outcome) {
    const auto found = operations_.find(id);
    if (found == operations_.end()) return;
    const Operation operation = std::move(found->second);
    operations_.erase(found);
    if (operation.client != 0) {
        clients_.release(operation.client);
        --running_;
    }
    drop_self(outcome.nodes);
    operation.done(std::move(outcome));
    if (operation.client != 0 && !waiting_.empty()) pump();
}

void IndexCore::drop_self(std::vector<Contact>& contacts) const {
    const DhtKey own = core::dht_position(options_.identity->id());
    std::erase_if(contacts, [this, &own](const Contact& contact) {
        return contact.position == own || contact.endpoint == local_ ||
               clients_.is_own(contact.position);
    });
}

void IndexCore::give_up(const std::function<bool(const Operation&)>& is_over) {
    std::vector<OperationId> over;
    for (const auto& [id, operation] : operations_)
        if (is_over(operation)) over.push_back(id);
    for (const OperationId id : over)
        complete(id, {});
}

void IndexCore::call_bootstrap_nodes() {
    if (has_neighbour()) return;
    next_bootstrap_ = monotonic_now() + bootstrap_interval;
    for (const core::Endpoint& endpoint : bootstrap_endpoints_)
        main_runner().ping(endpoint);
    for (const Contact& contact : met_)
        main_runner().ping(contact.endpoint);
}

void IndexCore::greet(const core::Endpoint& endpoint) {
    if (greetings_.should_greet(endpoint, monotonic_now())) server_->ping(endpoint);
}

void IndexCore::explore(TimePoint now) {
    if (!server_ || !server_->connected() || !clients_.connected() || now < next_explore_) return;
    explore_interval_ =
        std::clamp(2 * explore_interval_, explore_interval_min, explore_interval_max);
    next_explore_ = now + explore_interval_;
    const std::uint64_t generation = clients_.acquire();
    clients_.current().get(server_->position(), [this, generation](RunnerOutcome outcome) {
        clients_.release(generation);
        drop_self(outcome.nodes);
        for (const Contact& contact : outcome.nodes)
            greet(contact.endpoint);
        if (!outcome.nodes.empty()) met_ = std::move(outcome.nodes);
    });
}

void IndexCore::on_status() {
    // Before that the client knew its own server only.
    if (server_ && server_->connected()) clients_.current().insert(server_->good_nodes());
    const TimePoint now = monotonic_now();
    clients_.tick(now);
    explore(now);
    pump();
}

void IndexCore::tick() {
    const TimePoint now = monotonic_now();
    if (now >= next_bootstrap_) call_bootstrap_nodes();
    give_up([now](const Operation& operation) { return now >= operation.deadline; });
    clients_.tick(now);
    explore(now);
    pump();
    ticker_.expires_after(tick_interval);
    ticker_.async_wait([this](const std::error_code& ec) {
        if (!ec) tick();
    });
}

void IndexCore::shut_down() {
    waiting_.clear();
    give_up([](const Operation&) { return true; });
    clients_.stop();
    server_.reset();
    ticker_.cancel();
}

void IndexCore::bootstrap(const std::vector<core::Endpoint>& endpoints) {
    for (const core::Endpoint& endpoint : endpoints) {
        if (endpoint == local_ || endpoint.is_unspecified()) continue;
        if (std::ranges::count(bootstrap_endpoints_, endpoint) > 0) continue;
        if (bootstrap_endpoints_.size() >= limits::bootstrap_endpoints_max)
            bootstrap_endpoints_.erase(bootstrap_endpoints_.begin());
        bootstrap_endpoints_.push_back(endpoint);
    }
    if (!bootstrap_endpoints_.empty()) hope_until_ = monotonic_now() + put_wait_max;
    call_bootstrap_nodes();
}

std::vector<Contact> IndexCore::neighbours() {
    auto contacts = main_runner().good_nodes();
    drop_self(contacts);
    return contacts;
}

IndexStatus IndexCore::status() {
    IndexStatus status;
    status.connected = has_neighbour();
    status.good_nodes = neighbours().size();
    status.packets_up = traffic_.packets_up;
    status.packets_down = traffic_.packets_down;
    status.bytes_up = traffic_.bytes_up;
    status.bytes_down = traffic_.bytes_down;
    status.datagrams_dropped = traffic_.datagrams_dropped;
    status.datagrams_foreign = traffic_.datagrams_foreign;
    status.puts = puts_;
    status.lookups = lookups_;
    status.stored_values = server_ ? server_->stored_values() : 0;
    return status;
}

}  // namespace flow29::dht
