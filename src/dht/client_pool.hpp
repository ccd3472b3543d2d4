// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <asio/io_context.hpp>

#include "core/time.hpp"
#include "dht/opendht_runner.hpp"

namespace flow29::dht {

/// The OpenDHT client that does the operations, its successor while that is still connecting, and
/// its predecessors while they still have operations to end.
///
///     next ──connected──> current ──operations or age used up, successor ready──> retired
///     ──idle──> gone
///
/// Lives on the io_context's one thread.
class ClientPool {
  public:
    struct Options {
        core::Endpoint bind;  ///< port 0
        std::uint32_t network = 0;
        unsigned operations_max = 0;
        Duration age_max{};
        core::Line* line = nullptr;                 ///< see AsioSocket
        std::optional<core::SwarmKey> swarm_key{};  ///< likewise
    };
    /// Introduces a new client to the network.
    using Introduce = std::function<void(OpenDhtRunner&)>;

    ClientPool(asio::io_context& io, const Options& options, TrafficCounters& counters,
               Introduce introduce, std::function<void()> on_status);

    /// The first client; later ones come by themselves.
    [[nodiscard]] Result<void> start(TimePoint now);
    [[nodiscard]] bool connected() const { return current_ && current_->runner->connected(); }
    [[nodiscard]] OpenDhtRunner& current() { return *current_->runner; }

    /// Counts an operation in; pass the answer to `release` when it has ended.
    [[nodiscard]] std::uint64_t acquire();
    void release(std::uint64_t generation);

    /// Replaces and discards clients that are due, and introduces one that knows nobody again.
    /// Never call from within a runner's loop.
    void tick(TimePoint now);
    /// True for the position of a client that is still alive.
    [[nodiscard]] bool is_own(const DhtKey& position) const;
    void stop();

  private:
    struct Client {
        std::unique_ptr<OpenDhtRunner> runner;
        std::uint64_t generation = 0;
        unsigned operations = 0;
        unsigned running = 0;
        TimePoint born;
        TimePoint introduced;
        TimePoint retired;
    };
    [[nodiscard]] Result<std::unique_ptr<Client>> create(TimePoint now);
    [[nodiscard]] bool is_due(const Client& client, TimePoint now) const;

    asio::io_context& io_;  // owned by the index
    Options options_;
    TrafficCounters& counters_;  // owned by the index
    Introduce introduce_;
    std::function<void()> on_status_;
    std::unique_ptr<Client> current_;
    std::unique_ptr<Client> next_;
    std::vector<std::unique_ptr<Client>> retired_;
    std::uint64_t generations_ = 0;
};

}  // namespace flow29::dht
