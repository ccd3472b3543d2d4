// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <asio/io_context.hpp>

#include <flow29/error.hpp>
#include "dht/asio_socket.hpp"
#include "dht/index.hpp"
#include "dht/record_rules.hpp"

namespace flow29::dht {

/// What an operation of OpenDHT brought back. Nothing in it was verified.
struct RunnerOutcome {
    bool ok = false;
    std::vector<RawValue> values;  ///< of a get; bounded
    std::vector<Contact> nodes;    ///< nearest first; may hold our own
};

/// One OpenDHT node on one UDP socket, driven by the io_context's thread. All functions are called
/// on that thread, and completions are posted to it, so they may call the runner again.
///
/// Destroying it drops what is under way without a call: whoever needs an end keeps its own
/// account.
class OpenDhtRunner {
  public:
    struct Options {
        core::Endpoint bind;
        DhtKey position;
        std::uint32_t network = 0;
        /// Of the node; outlives the runner. Null: a client, nobody's neighbour, which stores
        /// nothing for others.
        const core::Identity* identity = nullptr;
        RecordRules* rules = nullptr;  ///< what to store; owned by the index; none for a client
        core::Line* line = nullptr;    ///< see AsioSocket
        std::optional<core::SwarmKey> swarm_key{};  ///< likewise
    };
    using Done = std::function<void(RunnerOutcome)>;
    /// Values that just came, none of them verified.
    using Seen = std::function<void(std::vector<RawValue>)>;
    /// Both are posted.
    struct Events {
        std::function<void()> on_status;  ///< connected() may have changed
        /// Somebody who would be a neighbour has sent a request.
        std::function<void(const core::Endpoint&)> on_request{};
    };

    [[nodiscard]] static Result<std::unique_ptr<OpenDhtRunner>> start(asio::io_context& io,
                                                                      const Options& options,
                                                                      TrafficCounters& counters,
                                                                      Events events);
    ~OpenDhtRunner();

    /// Offers `value` to the nodes nearest to `key`, to be forgotten after `lifetime` (at most
    /// limits::record_lifetime_max).
    void put(const DhtKey& key, const RawValue& value, std::chrono::milliseconds lifetime,
             Done done);
    /// `seen`, if given, is posted with what comes before the end.
    void get(const DhtKey& key, Done done, Seen seen = {});
    /// Asks whoever is at `endpoint` to answer; then it is a neighbour.
    void ping(const core::Endpoint& endpoint);
    /// Makes nodes known without asking them.
    void insert(const std::vector<Contact>& contacts);

    /// True when at least one neighbour has answered lately.
    [[nodiscard]] bool connected() const;
    [[nodiscard]] std::vector<Contact> good_nodes() const;
    /// Values stored, those of this runner's own puts included.
    [[nodiscard]] std::size_t stored_values() const;
    [[nodiscard]] core::Endpoint local_endpoint() const;
    [[nodiscard]] const DhtKey& position() const;

  private:
    struct State;
    explicit OpenDhtRunner(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;  // shared with its own pending timer
};

}  // namespace flow29::dht
