// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "dht/client_pool.hpp"
#include "dht/greetings.hpp"
#include "dht/opendht_index.hpp"
#include "dht/record_rules.hpp"

namespace flow29::dht {

/// What an OpenDhtIndex does on its own thread: keeps the server and the clients connected, and
/// keeps the account of operations, so that each ends with exactly one call whatever OpenDHT does.
///
/// Rules:
/// 1. An operation waits for a first neighbour, but only while there is hope: some seconds after
///    addresses were given. Then a storing node still asks itself; others fail.
/// 2. OpenDHT gets no operation before its runner is connected. Rationale: it queues them while
///    "connecting", and repeated pings to dead addresses keep it connecting for ever.
/// 3. A server that has joined looks up its own position, and again at growing intervals, and
///    greets whom it finds and who asks it. See Greetings.
/// 4. At most limits::index_operations_max operations wait or run; one more fails at once.
class IndexCore {
  public:
    /// A put if it has a value, a get else. `done` is called once; after a failure with an outcome
    /// that is not ok and is empty.
    struct Operation {
        DhtKey key;
        std::optional<RawValue> value{};
        WallTime expires{};
        std::function<void(RunnerOutcome)> done{};
        OpenDhtRunner::Seen seen{};  ///< of a get; may be null
        TimePoint wait_until{};
        TimePoint deadline{};
        std::uint64_t client = 0;  // generation; 0 while it waits
    };

    IndexCore(asio::io_context& io, OpenDhtIndex::Options options);

    /// Binds the sockets; to be called before the thread runs.
    [[nodiscard]] Result<void> open();
    [[nodiscard]] core::Endpoint local_endpoint() const { return local_; }

    /// Does what is due, now and from now on.
    void tick();
    void begin(Operation operation);
    void bootstrap(const std::vector<core::Endpoint>& endpoints);
    /// Those that are pinged while there is no neighbour.
    [[nodiscard]] const std::vector<core::Endpoint>& bootstrap_endpoints() const {
        return bootstrap_endpoints_;
    }
    [[nodiscard]] std::vector<Contact> neighbours();
    [[nodiscard]] IndexStatus status();
    /// Ends every operation with a failure and closes the sockets.
    void shut_down();

  private:
    using OperationId = std::uint64_t;

    void introduce(OpenDhtRunner& client);
    void pump();
    /// Whether it can be run, or is to be given up, as things are.
    [[nodiscard]] bool may_go_on(const Operation& operation, TimePoint now) const;
    void run(OperationId id, Operation& operation);
    void complete(OperationId id, RunnerOutcome outcome);
    void give_up(const std::function<bool(const Operation&)>& is_over);
    void drop_self(std::vector<Contact>& contacts) const;
    [[nodiscard]] bool has_neighbour() const {
        return server_ ? server_->connected() : clients_.connected();
    }
    /// The one that others know.
    [[nodiscard]] OpenDhtRunner& main_runner() { return server_ ? *server_ : clients_.current(); }
    void call_bootstrap_nodes();
    void greet(const core::Endpoint& endpoint);
    void explore(TimePoint now);
    void on_status();

    OpenDhtIndex::Options options_;
    asio::io_context& io_;  // owned by the OpenDhtIndex
    asio::steady_timer ticker_;
    TrafficCounters traffic_;
    RecordRules rules_;
    ClientPool clients_;
    std::unique_ptr<OpenDhtRunner> server_;
    core::Endpoint local_;

    std::map<OperationId, Operation> operations_;
    std::deque<OperationId> waiting_;
    OperationId last_id_ = 0;
    std::size_t running_ = 0;

    std::vector<core::Endpoint> bootstrap_endpoints_;
    std::vector<Contact> met_;  // by the latest exploration
    TimePoint next_bootstrap_{};
    TimePoint hope_until_{};
    Greetings greetings_;
    TimePoint next_explore_{};
    Duration explore_interval_{};

    std::uint64_t puts_ = 0;
    std::uint64_t lookups_ = 0;
};

}  // namespace flow29::dht
