// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/client_pool.hpp"

#include <algorithm>
#include <utility>

#include "core/identity.hpp"
#include "core/log.hpp"

namespace flow29::dht {
namespace {

using namespace std::chrono_literals;

constexpr Duration connect_time_max = 5s;
constexpr Duration introduce_interval = 3s;
// Longer than any operation may take, so that none is cut off.
constexpr Duration retired_time_max = 90s;

}  // namespace

ClientPool::ClientPool(asio::io_context& io, const Options& options, TrafficCounters& counters,
                       Introduce introduce, std::function<void()> on_status)
    : io_(io),
      options_(options),
      counters_(counters),
      introduce_(std::move(introduce)),
      on_status_(std::move(on_status)) {}

Result<void> ClientPool::start(TimePoint now) {
    auto client = create(now);
    if (!client) return fail(client.error());
    current_ = std::move(*client);
    return {};
}

Result<std::unique_ptr<ClientPool::Client>> ClientPool::create(TimePoint now) {
    OpenDhtRunner::Options options;
    options.bind = options_.bind;
    options.network = options_.network;
    options.line = options_.line;
    options.swarm_key = options_.swarm_key;
    core::random_bytes(options.position.bytes);
    auto runner = OpenDhtRunner::start(io_, options, counters_, {.on_status = on_status_});
    if (!runner) return fail(runner.error());
    auto client = std::make_unique<Client>();
    client->runner = std::move(*runner);
    client->generation = ++generations_;
    client->born = client->introduced = now;
    introduce_(*client->runner);
    return client;
}

std::uint64_t ClientPool::acquire() {
    ++current_->operations;
    ++current_->running;
    return current_->generation;
}

void ClientPool::release(std::uint64_t generation) {
    if (current_ && current_->generation == generation) {
        --current_->running;
        return;
    }
    for (auto& client : retired_)
        if (client->generation == generation) --client->running;
}

bool ClientPool::is_due(const Client& client, TimePoint now) const {
    if (client.operations >= options_.operations_max) return true;
    // An idle client has no searches to get rid of.
    return client.operations > 0 && now - client.born >= options_.age_max;
}

void ClientPool::tick(TimePoint now) {
    if (current_ && !connected() && now - current_->introduced >= introduce_interval) {
        current_->introduced = now;
        introduce_(*current_->runner);
    }
    if (!next_ && current_ && is_due(*current_, now)) {
        auto client = create(now);
        if (client)
            next_ = std::move(*client);
        else
            core::log::warn("dht", "no new client: {}", client.error().message());
    }
    if (next_ && next_->runner->connected()) {
        current_->retired = now;
        retired_.push_back(std::exchange(current_, std::move(next_)));
    } else if (next_ && now - next_->born >= connect_time_max) {
        next_.reset();
    }
    std::erase_if(retired_, [now](const auto& client) {
        return client->running == 0 || now - client->retired >= retired_time_max;
    });
}

bool ClientPool::is_own(const DhtKey& position) const {
    const auto has = [&position](const auto& client) {
        return client && client->runner->position() == position;
    };
    return has(current_) || has(next_) || std::ranges::any_of(retired_, has);
}

void ClientPool::stop() {
    current_.reset();
    next_.reset();
    retired_.clear();
}

}  // namespace flow29::dht
