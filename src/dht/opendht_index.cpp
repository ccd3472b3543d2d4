// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/opendht_index.hpp"

#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "core/assert.hpp"
#include "core/clock.hpp"
#include "core/descriptor.hpp"
#include "dht/index_core.hpp"

namespace flow29::dht {
namespace {

/// The newest believable record of each signer in each address family.
std::vector<proto::ProviderRecord> read_providers(const DhtKey& key,
                                                  const std::vector<RawValue>& values) {
    const WallTime now = core::wall_now();
    std::map<std::pair<PublicKey, bool>, proto::ProviderRecord> by_signer;
    for (const RawValue& value : values) {
        auto record = read_provider(key, value, now);
        if (!record) continue;
        const std::pair place(record->signer, record->address.is_v4());
        auto [it, fresh] = by_signer.try_emplace(place, *record);
        if (!fresh && it->second.sequence < record->sequence) it->second = std::move(*record);
    }
    std::vector<proto::ProviderRecord> records;
    for (auto& [place, record] : by_signer)
        if (records.size() < limits::records_per_key_max) records.push_back(std::move(record));
    return records;
}

std::optional<proto::NodeRecord> read_newest_node(const DhtKey& key,
                                                  const std::vector<RawValue>& values) {
    const WallTime now = core::wall_now();
    std::optional<proto::NodeRecord> newest;
    for (const RawValue& value : values) {
        auto record = read_node(key, value, now);
        if (record && (!newest || newest->sequence < record->sequence)) newest = std::move(record);
    }
    return newest;
}

}  // namespace

struct OpenDhtIndex::State {
    explicit State(Options options)
        : work(asio::make_work_guard(io)), core(io, std::move(options)) {}

    /// Runs `job` on the index's thread, or `refuse` at once when that is about to end.
    void submit(std::function<void()> job, const std::function<void()>& refuse);
    /// `operation` has no `done` yet.
    void put(IndexCore::Operation operation, std::function<void(bool)> done);

    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> work;
    IndexCore core;    // used by the thread alone, once that runs
    std::mutex mutex;  // guards `stopping`
    bool stopping = false;
    std::thread thread;
};

void OpenDhtIndex::State::submit(std::function<void()> job, const std::function<void()>& refuse) {
    {
        // Within the lock, so that the job comes before the one that ends the thread.
        const std::lock_guard lock(mutex);
        if (!stopping) {
            asio::post(io, std::move(job));
            return;
        }
    }
    refuse();
}

void OpenDhtIndex::State::put(IndexCore::Operation operation, std::function<void(bool)> done) {
    if (operation.value->octets.size() > record_payload_bytes_max) return done(false);
    if (operation.expires <= core::wall_now()) return done(false);
    operation.done = [done](const RunnerOutcome& outcome) {
        done(outcome.ok && !outcome.nodes.empty());
    };
    submit([this, operation] { core.begin(operation); }, [done] { done(false); });
}

OpenDhtIndex::OpenDhtIndex(std::unique_ptr<State> state) : state_(std::move(state)) {}
OpenDhtIndex::~OpenDhtIndex() {
    stop();
}

Result<std::unique_ptr<OpenDhtIndex>> OpenDhtIndex::start(Options options) {
    FLOW29_ASSERT(options.identity != nullptr);
    auto state = std::make_unique<State>(std::move(options));
    const auto opened = state->core.open();
    if (!opened) return fail(opened.error());
    state->thread = std::thread([raw = state.get()] {
        raw->core.tick();
        raw->io.run();
    });
    return std::unique_ptr<OpenDhtIndex>(new OpenDhtIndex(std::move(state)));
}

std::vector<core::Endpoint> OpenDhtIndex::local_endpoints() const {
    std::vector<core::Endpoint> endpoints;
    for (const auto& side : state_->core.sides())
        endpoints.push_back(side->local_endpoint());
    return endpoints;
}

void OpenDhtIndex::announce(const proto::ProviderRecord& record, std::function<void(bool)> done) {
    state_->put({.key = record.key,
                 .value = RawValue{RecordType::provider, record.value_id(), record.encode()},
                 .expires = record.expires,
                 .for_v4 = record.address.is_v4()},
                std::move(done));
}

void OpenDhtIndex::announce(const proto::NodeRecord& record, std::function<void(bool)> done) {
    const DhtKey key = core::node_key(record.node());
    state_->put(
        {.key = key,
         .value = RawValue{RecordType::node, node_value_id(record.key, key), record.encode()},
         .expires = record.expires},
        std::move(done));
}

void OpenDhtIndex::find(const DhtKey& key, std::function<void(Lookup)> done, SeenFn seen) {
    IndexCore::Operation operation{.key = key};
    if (seen)
        operation.seen = [key, seen](const std::vector<RawValue>& values) {
            if (auto providers = read_providers(key, values); !providers.empty())
                seen(std::move(providers));
        };
    operation.done = [key, done](RunnerOutcome outcome) {
        Lookup lookup;
        lookup.providers = read_providers(key, outcome.values);
        lookup.connected = outcome.ok && !outcome.nodes.empty();
        lookup.nearest = std::move(outcome.nodes);
        done(std::move(lookup));
    };
    state_->submit([core = &state_->core, operation] { core->begin(operation); },
                   [done] { done({.providers = {}, .nearest = {}, .connected = false}); });
}

void OpenDhtIndex::find_node(const NodeId& node,
                             std::function<void(std::optional<proto::NodeRecord>)> done) {
    IndexCore::Operation operation{.key = core::node_key(node)};
    operation.done = [key = operation.key, done](const RunnerOutcome& outcome) {
        done(read_newest_node(key, outcome.values));
    };
    state_->submit([core = &state_->core, operation] { core->begin(operation); },
                   [done] { done(std::nullopt); });
}

void OpenDhtIndex::bootstrap(const std::vector<core::Endpoint>& endpoints) {
    state_->submit([core = &state_->core, endpoints] { core->bootstrap(endpoints); }, [] {});
}

void OpenDhtIndex::hear_of(const std::vector<core::Endpoint>& endpoints) {
    state_->submit([core = &state_->core, endpoints] { core->hear_of(endpoints); }, [] {});
}

void OpenDhtIndex::neighbours(std::function<void(std::vector<Contact>)> done) {
    state_->submit([core = &state_->core, done] { done(core->neighbours()); },
                   [done] { done({}); });
}

void OpenDhtIndex::status(std::function<void(IndexStatus)> done) {
    state_->submit([core = &state_->core, done] { done(core->status()); }, [done] { done({}); });
}

void OpenDhtIndex::stop() {
    State& state = *state_;
    FLOW29_ASSERT(std::this_thread::get_id() != state.thread.get_id());
    {
        const std::lock_guard lock(state.mutex);
        if (!state.stopping) {
            asio::post(state.io, [&state] {
                state.core.shut_down();
                state.work.reset();
                state.io.stop();
            });
        }
        state.stopping = true;
    }
    if (state.thread.joinable()) state.thread.join();
}

}  // namespace flow29::dht
