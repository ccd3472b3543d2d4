// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/opendht_index.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "core/assert.hpp"
#include "core/descriptor.hpp"
#include "dht/client_pool.hpp"
#include "dht/greetings.hpp"

namespace flow29::dht {
namespace {

using namespace std::chrono_literals;

constexpr auto tick_interval = 250ms;
constexpr Duration bootstrap_interval = 3s;
// How long an operation waits for a first neighbour. A caller who looks wants to know sooner.
constexpr Duration put_wait_max = 8s;
constexpr Duration get_wait_max = 4s;
// A node looks for the neighbours of its own position when it has joined, and again as they come.
constexpr Duration explore_interval_min = 1s;
constexpr Duration explore_interval_max = 5min;
constexpr Duration operation_time_max = 60s;
constexpr std::size_t bootstrap_endpoints_max = 64;
constexpr std::size_t operations_max = 65'536;
constexpr std::size_t operations_running_max = 256;

TimePoint monotonic_now() {
    return TimePoint(std::chrono::duration_cast<Duration>(
        std::chrono::steady_clock::now().time_since_epoch()));
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

/// The newest believable record of each signer.
std::vector<proto::ProviderRecord> read_providers(const DhtKey& key,
                                                  const std::vector<RawValue>& values) {
    const WallTime now = wall_now();
    std::map<PublicKey, proto::ProviderRecord> by_signer;
    for (const RawValue& value : values) {
        auto record = read_provider(key, value, now);
        if (!record) continue;
        auto [it, fresh] = by_signer.try_emplace(record->signer, *record);
        if (!fresh && it->second.sequence < record->sequence) it->second = std::move(*record);
    }
    std::vector<proto::ProviderRecord> records;
    for (auto& [signer, record] : by_signer)
        if (records.size() < limits::records_per_key_max) records.push_back(std::move(record));
    return records;
}

std::optional<proto::NodeRecord> read_newest_node(const DhtKey& key,
                                                  const std::vector<RawValue>& values) {
    const WallTime now = wall_now();
    std::optional<proto::NodeRecord> newest;
    for (const RawValue& value : values) {
        auto record = read_node(key, value, now);
        if (record && (!newest || newest->sequence < record->sequence)) newest = std::move(record);
    }
    return newest;
}

}  // namespace

struct OpenDhtIndex::State {
    using OperationId = std::uint64_t;
    /// A put if it has a value, a get else. `done` is called once; after a failure with an outcome
    /// that is not ok and is empty.
    struct Operation {
        DhtKey key;
        std::optional<RawValue> value{};
        WallTime expires{};
        std::function<void(RunnerOutcome)> done{};
        TimePoint wait_until{};
        TimePoint deadline{};
        std::uint64_t client = 0;  // generation; 0 while it waits
    };

    explicit State(Options o);
    [[nodiscard]] Result<void> open();
    void introduce(OpenDhtRunner& client);

    /// Runs `job` on the index's thread, or `refuse` at once when that has ended.
    void submit(std::function<void()> job, const std::function<void()>& refuse);
    /// `operation` without its `done`.
    void put(Operation operation, std::function<void(bool)> done);
    void begin(Operation operation);
    void pump();
    void run(OperationId id, Operation& operation);
    void complete(OperationId id, RunnerOutcome outcome);
    void give_up(std::function<bool(const Operation&)> is_over);
    void drop_self(std::vector<Contact>& contacts) const;

    [[nodiscard]] bool has_neighbour() const {
        return server ? server->connected() : clients.connected();
    }
    void call_bootstrap_nodes();
    void greet(const core::Endpoint& endpoint);
    void explore(TimePoint now);
    void on_status();
    void tick();
    void schedule_tick();
    void shut_down();

    Options options;
    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> work;
    asio::steady_timer ticker;
    TrafficCounters traffic;
    RecordRules rules;
    ClientPool clients;
    std::unique_ptr<OpenDhtRunner> server;
    core::Endpoint local;

    std::map<OperationId, Operation> operations;
    std::deque<OperationId> waiting;
    OperationId last_id = 0;
    std::size_t running = 0;
    std::vector<core::Endpoint> bootstrap_endpoints;
    TimePoint next_bootstrap{};
    Greetings greetings;
    TimePoint next_explore{};
    Duration explore_interval = explore_interval_min;
    TimePoint hope_until{};  // after it nobody waits for a first neighbour
    std::uint64_t puts = 0;
    std::uint64_t lookups = 0;

    std::mutex mutex;  // guards `stopping`
    bool stopping = false;
    std::thread thread;
};

OpenDhtIndex::State::State(Options o)
    : options(std::move(o)),
      work(asio::make_work_guard(io)),
      ticker(io),
      rules({.self = options.id,
             .bound_to_loopback = options.bind.is_loopback(),
             .loopback_is_diverse =
                 options.loopback_is_diverse.value_or(options.bind.is_loopback()),
             .records_per_group = options.records_per_group}),
      clients(
          io,
          {.bind = {options.bind.address, 0},
           .network = options.network,
           .operations_max = options.client_operations_max,
           .age_max = options.client_age_max},
          traffic, [this](OpenDhtRunner& client) { introduce(client); }, [this] { on_status(); }) {}

Result<void> OpenDhtIndex::State::open() {
    const TimePoint now = monotonic_now();
    if (options.storing) {
        OpenDhtRunner::Options server_options;
        server_options.bind = options.bind;
        server_options.position = core::dht_position(options.id);
        server_options.network = options.network;
        server_options.rules = &rules;
        auto started =
            OpenDhtRunner::start(io, server_options, traffic,
                                 {.on_status = [this] { on_status(); },
                                  .on_request = [this](const core::Endpoint& from) {
                                      greet(from);
                                  }});
        if (!started) return fail(started.error());
        server = std::move(*started);
    }
    if (options.saved.size() > bootstrap_endpoints_max)
        options.saved.resize(bootstrap_endpoints_max);
    if (server) server->insert(options.saved);
    for (const Contact& contact : options.saved) bootstrap_endpoints.push_back(contact.endpoint);
    if (!bootstrap_endpoints.empty()) hope_until = now + put_wait_max;
    const auto first_client = clients.start(now);
    if (!first_client) return first_client;
    local = server ? server->local_endpoint() : clients.current().local_endpoint();
    return {};
}

void OpenDhtIndex::State::introduce(OpenDhtRunner& client) {
    if (server) {
        client.ping(reachable(server->local_endpoint()));
        client.insert(server->good_nodes());
        return;
    }
    const auto known = clients.connected() ? clients.current().good_nodes() : options.saved;
    client.insert(known);
    for (std::size_t i = 0; i < std::min<std::size_t>(known.size(), 8); ++i)
        client.ping(known[i].endpoint);
}

void OpenDhtIndex::State::submit(std::function<void()> job, const std::function<void()>& refuse) {
    {
        const std::lock_guard lock(mutex);
        if (!stopping) {
            asio::post(io, std::move(job));
            return;
        }
    }
    refuse();
}

void OpenDhtIndex::State::put(Operation operation, std::function<void(bool)> done) {
    if (operation.value->octets.size() > record_payload_bytes_max) return done(false);
    if (operation.expires <= wall_now()) return done(false);
    operation.done = [done](const RunnerOutcome& outcome) {
        done(outcome.ok && !outcome.nodes.empty());
    };
    submit([this, operation] { begin(operation); }, [done] { done(false); });
}

void OpenDhtIndex::State::begin(Operation operation) {
    if (operations.size() >= operations_max) return operation.done({});
    const TimePoint now = monotonic_now();
    operation.wait_until =
        std::clamp(hope_until, now, now + (operation.value ? put_wait_max : get_wait_max));
    operation.deadline = TimePoint::max();
    (operation.value ? puts : lookups) += 1;
    const OperationId id = ++last_id;
    operations.emplace(id, std::move(operation));
    waiting.push_back(id);
    pump();
}

void OpenDhtIndex::State::pump() {
    const TimePoint now = monotonic_now();
    const bool linked = has_neighbour();
    std::deque<OperationId> still_waiting;
    while (!waiting.empty() && running < operations_running_max) {
        const OperationId id = waiting.front();
        waiting.pop_front();
        const auto found = operations.find(id);
        if (found == operations.end()) continue;
        const bool patient = now < found->second.wait_until;
        // Alone, a storing node still asks itself; and a client may be some milliseconds old.
        if (clients.connected() && (linked || !patient)) {
            run(id, found->second);
        } else if (patient || (server && now < found->second.wait_until + 1s)) {
            still_waiting.push_back(id);
        } else {
            complete(id, {});
        }
    }
    waiting.insert(waiting.begin(), still_waiting.begin(), still_waiting.end());
}

void OpenDhtIndex::State::run(OperationId id, Operation& operation) {
    operation.client = clients.acquire();
    operation.deadline = monotonic_now() + operation_time_max;
    ++running;
    auto done = [this, id](RunnerOutcome outcome) { complete(id, std::move(outcome)); };
    if (operation.value)
        clients.current().put(operation.key, *operation.value, operation.expires - wall_now(),
                              std::move(done));
    else
        clients.current().get(operation.key, std::move(done));
}

void OpenDhtIndex::State::complete(OperationId id, RunnerOutcome outcome) {
    const auto found = operations.find(id);
    if (found == operations.end()) return;
    const Operation operation = std::move(found->second);
    operations.erase(found);
    if (operation.client != 0) {
        clients.release(operation.client);
        --running;
    }
    drop_self(outcome.nodes);
    operation.done(std::move(outcome));
    if (operation.client != 0 && !waiting.empty()) pump();
}

void OpenDhtIndex::State::drop_self(std::vector<Contact>& contacts) const {
    const DhtKey own = core::dht_position(options.id);
    std::erase_if(contacts, [this, &own](const Contact& contact) {
        return contact.position == own || contact.endpoint == local ||
               clients.is_own(contact.position);
    });
}

void OpenDhtIndex::State::give_up(std::function<bool(const Operation&)> is_over) {
    std::vector<OperationId> over;
    for (const auto& [id, operation] : operations)
        if (is_over(operation)) over.push_back(id);
    for (const OperationId id : over) complete(id, {});
}

void OpenDhtIndex::State::call_bootstrap_nodes() {
    if (bootstrap_endpoints.empty() || has_neighbour()) return;
    next_bootstrap = monotonic_now() + bootstrap_interval;
    OpenDhtRunner& caller = server ? *server : clients.current();
    for (const core::Endpoint& endpoint : bootstrap_endpoints) caller.ping(endpoint);
}

void OpenDhtIndex::State::greet(const core::Endpoint& endpoint) {
    if (greetings.should_greet(endpoint, monotonic_now())) server->ping(endpoint);
}

void OpenDhtIndex::State::explore(TimePoint now) {
    if (!server || !server->connected() || !clients.connected() || now < next_explore) return;
    next_explore = now + explore_interval;
    explore_interval = std::min(2 * explore_interval, explore_interval_max);
    const std::uint64_t generation = clients.acquire();
    clients.current().get(server->position(), [this, generation](RunnerOutcome outcome) {
        clients.release(generation);
        drop_self(outcome.nodes);
        for (const Contact& contact : outcome.nodes) greet(contact.endpoint);
    });
}

void OpenDhtIndex::State::on_status() {
    // Before that the client knew its own server only.
    if (server && server->connected()) clients.current().insert(server->good_nodes());
    const TimePoint now = monotonic_now();
    clients.tick(now);
    explore(now);
    pump();
}

void OpenDhtIndex::State::tick() {
    const TimePoint now = monotonic_now();
    if (now >= next_bootstrap) call_bootstrap_nodes();
    give_up([now](const Operation& operation) { return now >= operation.deadline; });
    clients.tick(now);
    explore(now);
    pump();
    schedule_tick();
}

void OpenDhtIndex::State::schedule_tick() {
    ticker.expires_after(tick_interval);
    ticker.async_wait([this](const std::error_code& ec) {
        if (!ec) tick();
    });
}

void OpenDhtIndex::State::shut_down() {
    waiting.clear();
    give_up([](const Operation&) { return true; });
    clients.stop();
    server.reset();
    ticker.cancel();
    work.reset();
    io.stop();
}

OpenDhtIndex::OpenDhtIndex(std::unique_ptr<State> state) : state_(std::move(state)) {}
OpenDhtIndex::~OpenDhtIndex() { stop(); }

Result<std::unique_ptr<OpenDhtIndex>> OpenDhtIndex::start(Options options) {
    auto state = std::make_unique<State>(std::move(options));
    const auto opened = state->open();
    if (!opened) return fail(opened.error());
    state->thread = std::thread([&io = state->io, raw = state.get()] {
        raw->tick();
        io.run();
    });
    return std::unique_ptr<OpenDhtIndex>(new OpenDhtIndex(std::move(state)));
}

core::Endpoint OpenDhtIndex::local_endpoint() const { return state_->local; }

void OpenDhtIndex::announce(const proto::ProviderRecord& record, std::function<void(bool)> done) {
    state_->put({.key = record.key,
                 .value = RawValue{RecordType::provider, record.value_id(), record.encode()},
                 .expires = record.expires},
                std::move(done));
}

void OpenDhtIndex::announce(const proto::NodeRecord& record, std::function<void(bool)> done) {
    const DhtKey key = core::node_key(record.node());
    state_->put({.key = key,
                 .value = RawValue{RecordType::node, node_value_id(record.key, key),
                                   record.encode()},
                 .expires = record.expires},
                std::move(done));
}

void OpenDhtIndex::find(const DhtKey& key, std::function<void(Lookup)> done) {
    State::Operation operation;
    operation.key = key;
    operation.done = [key, done](RunnerOutcome outcome) {
        Lookup lookup;
        lookup.providers = read_providers(key, outcome.values);
        lookup.connected = outcome.ok && !outcome.nodes.empty();
        lookup.nearest = std::move(outcome.nodes);
        done(std::move(lookup));
    };
    State& state = *state_;
    state.submit([&state, operation] { state.begin(operation); },
                 [done] { done({.providers = {}, .nearest = {}, .connected = false}); });
}

void OpenDhtIndex::find_node(const NodeId& node,
                             std::function<void(std::optional<proto::NodeRecord>)> done) {
    State::Operation operation;
    operation.key = core::node_key(node);
    operation.done = [key = operation.key, done](const RunnerOutcome& outcome) {
        done(read_newest_node(key, outcome.values));
    };
    State& state = *state_;
    state.submit([&state, operation] { state.begin(operation); }, [done] { done(std::nullopt); });
}

void OpenDhtIndex::bootstrap(const std::vector<core::Endpoint>& endpoints) {
    State& state = *state_;
    state.submit(
        [&state, endpoints] {
            for (const core::Endpoint& endpoint : endpoints) {
                if (endpoint == state.local || endpoint.is_unspecified()) continue;
                if (std::ranges::count(state.bootstrap_endpoints, endpoint) > 0) continue;
                if (state.bootstrap_endpoints.size() >= bootstrap_endpoints_max)
                    state.bootstrap_endpoints.erase(state.bootstrap_endpoints.begin());
                state.bootstrap_endpoints.push_back(endpoint);
            }
            if (!state.bootstrap_endpoints.empty())
                state.hope_until = monotonic_now() + put_wait_max;
            state.call_bootstrap_nodes();
        },
        [] {});
}

void OpenDhtIndex::neighbours(std::function<void(std::vector<Contact>)> done) {
    State& state = *state_;
    state.submit(
        [&state, done] {
            auto contacts =
                state.server ? state.server->good_nodes() : state.clients.current().good_nodes();
            state.drop_self(contacts);
            done(std::move(contacts));
        },
        [done] { done({}); });
}

void OpenDhtIndex::status(std::function<void(IndexStatus)> done) {
    State& state = *state_;
    state.submit(
        [&state, done] {
            const OpenDhtRunner& runner =
                state.server ? *state.server : state.clients.current();
            IndexStatus status;
            status.connected = state.has_neighbour();
            status.good_nodes = runner.good_nodes().size();
            status.packets_up = state.traffic.packets_up;
            status.packets_down = state.traffic.packets_down;
            status.bytes_up = state.traffic.bytes_up;
            status.bytes_down = state.traffic.bytes_down;
            status.datagrams_dropped = state.traffic.datagrams_dropped;
            status.puts = state.puts;
            status.lookups = state.lookups;
            status.stored_values = state.server ? state.server->stored_values() : 0;
            done(status);
        },
        [done] { done({}); });
}

void OpenDhtIndex::stop() {
    State& state = *state_;
    FLOW29_ASSERT(std::this_thread::get_id() != state.thread.get_id());
    {
        const std::lock_guard lock(state.mutex);
        if (!state.stopping) asio::post(state.io, [&state] { state.shut_down(); });
        state.stopping = true;
    }
    if (state.thread.joinable()) state.thread.join();
}

}  // namespace flow29::dht
