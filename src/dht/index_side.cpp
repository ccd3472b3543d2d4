// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/index_side.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <flow29/limits.hpp>

#include "core/assert.hpp"
#include "core/clock.hpp"
#include "core/descriptor.hpp"

namespace flow29::dht {
namespace {

using namespace std::chrono_literals;

constexpr Duration bootstrap_interval = 3s;
// How long somebody who was named may take to answer.
constexpr Duration hope_max = 8s;
// Likewise who is heard of: it has just answered in another way.
constexpr Duration hearsay_max = 2s;
// A node looks for the neighbours of its own position when it has joined, and again as they come.
constexpr Duration explore_interval_min = 1s;
constexpr Duration explore_interval_max = 5min;

/// An address at which this machine reaches a socket of its own.
core::Endpoint reachable(core::Endpoint endpoint) {
    if (!endpoint.is_unspecified()) return endpoint;
    const char* loopback = endpoint.is_v4() ? "127.0.0.1:1" : "[::1]:1";
    const auto parsed = core::Endpoint::parse(loopback);
    FLOW29_ASSERT(parsed.has_value());
    return {parsed->address, endpoint.port};
}

RecordRules::Options rules_of(const OpenDhtIndex::Options& options, const core::Endpoint& bind) {
    RecordRules::Options rules;
    rules.self = options.identity->id();
    rules.bound_to_loopback = bind.is_loopback();
    rules.loopback_is_diverse = options.loopback_is_diverse.value_or(bind.is_loopback());
    rules.records_per_group = options.records_per_group;
    // The bound is on memory, which the families share.
    rules.records /= options.bind.size();
    return rules;
}

}  // namespace

IndexSide::IndexSide(asio::io_context& io, const OpenDhtIndex::Options& options,
                     const core::Endpoint& bind, TrafficCounters& traffic,
                     std::function<void()> on_status)
    : io_(io),
      options_(options),
      bind_(bind),
      traffic_(traffic),
      status_changed_(std::move(on_status)),
      rules_(rules_of(options, bind)),
      clients_(
          io,
          {.bind = {bind.address, 0},
           .network = options.network,
           .operations_max = options.client_operations_max,
           .age_max = options.client_age_max,
           .line = options.line,
           .swarm_key = options.swarm_key},
          traffic, [this](OpenDhtRunner& client) { introduce(client); }, status_changed_) {
    for (const Contact& contact : options.saved) {
        if (contact.endpoint.is_v4() != is_v4()) continue;
        if (saved_.size() == limits::bootstrap_endpoints_max) break;
        saved_.push_back(contact);
        bootstrap_endpoints_.push_back(contact.endpoint);
    }
}

Result<void> IndexSide::open_server() {
    OpenDhtRunner::Options server;
    server.bind = bind_;
    server.identity = options_.identity;
    server.position = core::dht_position(options_.identity->id());
    server.network = options_.network;
    server.rules = &rules_;
    server.line = options_.line;
    server.swarm_key = options_.swarm_key;
    auto started = OpenDhtRunner::start(
        io_, server, traffic_,
        {.on_status = status_changed_,
         .on_request = [this](const core::Endpoint& from) { greet(from, core::monotonic_now()); }});
    if (!started) return fail(started.error());
    server_ = std::move(*started);
    return {};
}

Result<void> IndexSide::open() {
    const TimePoint now = core::monotonic_now();
    if (options_.storing)
        if (auto opened = open_server(); !opened) return opened;
    if (server_) server_->insert(saved_);
    if (!bootstrap_endpoints_.empty()) hope_until_ = now + hope_max;
    const auto first_client = clients_.start(now);
    if (!first_client) return first_client;
    local_ = server_ ? server_->local_endpoint() : clients_.current().local_endpoint();
    return {};
}

void IndexSide::introduce(OpenDhtRunner& client) {
    if (server_) {
        client.ping(reachable(server_->local_endpoint()));
        client.insert(server_->good_nodes());
        return;
    }
    const auto known = clients_.connected() ? clients_.current().good_nodes() : saved_;
    client.insert(known);
    for (std::size_t i = 0; i < std::min<std::size_t>(known.size(), 8); ++i)
        client.ping(known[i].endpoint);
}

void IndexSide::drop_self(std::vector<Contact>& contacts) const {
    const DhtKey own = core::dht_position(options_.identity->id());
    std::erase_if(contacts, [this, &own](const Contact& contact) {
        return contact.position == own || contact.endpoint == local_ ||
               clients_.is_own(contact.position);
    });
}

void IndexSide::call_bootstrap_nodes(TimePoint now) {
    if (has_neighbour()) return;
    next_bootstrap_ = now + bootstrap_interval;
    for (const core::Endpoint& endpoint : bootstrap_endpoints_)
        main_runner().ping(endpoint);
    for (const Contact& contact : met_)
        main_runner().ping(contact.endpoint);
}

void IndexSide::greet(const core::Endpoint& endpoint, TimePoint now) {
    if (greetings_.should_greet(endpoint, now)) main_runner().ping(endpoint);
}

void IndexSide::explore(TimePoint now) {
    if (!server_ || !server_->connected() || !clients_.connected() || now < next_explore_) return;
    explore_interval_ =
        std::clamp(2 * explore_interval_, explore_interval_min, explore_interval_max);
    next_explore_ = now + explore_interval_;
    const std::uint64_t generation = clients_.acquire();
    clients_.current().get(server_->position(), [this, generation](RunnerOutcome outcome) {
        on_explored(generation, std::move(outcome));
    });
}

void IndexSide::on_explored(std::uint64_t generation, RunnerOutcome outcome) {
    clients_.release(generation);
    drop_self(outcome.nodes);
    for (const Contact& contact : outcome.nodes)
        greet(contact.endpoint, core::monotonic_now());
    if (!outcome.nodes.empty()) met_ = std::move(outcome.nodes);
}

void IndexSide::on_status(TimePoint now) {
    // Before that the client knew its own server only.
    if (server_ && server_->connected()) clients_.current().insert(server_->good_nodes());
    clients_.tick(now);
    explore(now);
}

void IndexSide::tick(TimePoint now) {
    if (now >= next_bootstrap_) call_bootstrap_nodes(now);
    clients_.tick(now);
    explore(now);
}

void IndexSide::bootstrap(const std::vector<core::Endpoint>& endpoints, TimePoint now) {
    for (const core::Endpoint& endpoint : endpoints) {
        if (endpoint.is_v4() != is_v4()) continue;
        if (endpoint == local_ || endpoint.is_unspecified()) continue;
        hope_until_ = now + hope_max;
        if (std::ranges::count(bootstrap_endpoints_, endpoint) > 0) continue;
        if (bootstrap_endpoints_.size() >= limits::bootstrap_endpoints_max)
            bootstrap_endpoints_.erase(bootstrap_endpoints_.begin());
        bootstrap_endpoints_.push_back(endpoint);
    }
    call_bootstrap_nodes(now);
}

void IndexSide::hear_of(const std::vector<core::Endpoint>& endpoints, TimePoint now) {
    if (has_neighbour()) return;
    for (const core::Endpoint& endpoint : endpoints) {
        if (endpoint.is_v4() != is_v4() || endpoint == local_ || endpoint.is_unspecified())
            continue;
        if (!greetings_.should_greet(endpoint, now)) continue;
        main_runner().ping(endpoint);
        hope_until_ = std::max(hope_until_, now + hearsay_max);
    }
}

std::vector<Contact> IndexSide::neighbours() {
    auto contacts = main_runner().good_nodes();
    drop_self(contacts);
    return contacts;
}

void IndexSide::shut_down() {
    clients_.stop();
    server_.reset();
}

}  // namespace flow29::dht
