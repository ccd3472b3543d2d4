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

#include "dht/index_side.hpp"
#include "dht/opendht_index.hpp"

namespace flow29::dht {

/// What an OpenDhtIndex does on its own thread: keeps the account of operations, so that each ends
/// with exactly one call whatever OpenDHT does, and does each in every address family there is.
///
/// Rules:
/// 1. An operation waits for a first neighbour, but only while there is hope: some seconds after
///    addresses were given. Then a storing node still asks itself; others fail.
/// 2. OpenDHT gets no operation before its runner is connected. Rationale: it queues them while
///    "connecting", and repeated pings to dead addresses keep it connecting for ever.
/// 3. An operation goes to the families that have a neighbour, and waits for no other. Rationale:
///    as a rule one of them has nobody, now and later.
/// 4. One that a family has answered waits for the other family no longer than `other_family_max`.
///    What that one still does goes on, but nobody hears of it. Rationale: where IPv6 has just
///    broken down, its neighbours are asked in vain for seconds.
/// 5. At most limits::index_operations_max operations wait or run; one more fails at once.
class IndexCore {
  public:
    /// A put if it has a value, a get else. `done` is called once; after a failure with an outcome
    /// that is not ok and is empty.
    struct Operation {
        struct Part {
            IndexSide* side = nullptr;     // owned by the core
            std::uint64_t generation = 0;  // of the client
            bool ended = false;
        };

        DhtKey key;
        std::optional<RawValue> value{};
        WallTime expires{};
        std::function<void(RunnerOutcome)> done{};  ///< empty once it was called
        OpenDhtRunner::Seen seen{};                 ///< of a get; may be null
        /// The family it is for: IPv4 or not. Nothing, or one that is not there: any.
        std::optional<bool> for_v4{};
        TimePoint wait_until{};
        TimePoint deadline{};
        TimePoint tell_by{};
        std::vector<Part> parts{};  // none: it waits
        RunnerOutcome outcome{};    // of those that have ended
    };

    IndexCore(asio::io_context& io, OpenDhtIndex::Options options);

    /// Binds the sockets; to be called before the thread runs.
    [[nodiscard]] Result<void> open();
    /// One for each family, in the order of the options.
    [[nodiscard]] const std::vector<std::unique_ptr<IndexSide>>& sides() const { return sides_; }

    /// Does what is due, now and from now on.
    void tick();
    void begin(Operation operation);
    void bootstrap(const std::vector<core::Endpoint>& endpoints);
    void hear_of(const std::vector<core::Endpoint>& endpoints);
    [[nodiscard]] std::vector<Contact> neighbours();
    [[nodiscard]] IndexStatus status();
    /// Ends every operation with a failure and closes the sockets.
    void shut_down();

  private:
    using OperationId = std::uint64_t;

    void pump();
    [[nodiscard]] std::vector<IndexSide*> sides_for(const Operation& operation) const;
    /// Where it can be run as things are; nothing: it is to wait. Empty: it is to be given up.
    [[nodiscard]] std::optional<std::vector<IndexSide*>> places_for(const Operation& operation,
                                                                    TimePoint now) const;
    void run(OperationId id, Operation& operation, const std::vector<IndexSide*>& places);
    void on_seen(OperationId id, const std::vector<RawValue>& values);
    void on_part(OperationId id, std::size_t part, RunnerOutcome outcome);
    /// Tells how it went.
    void tell(Operation& operation);
    void remove(OperationId id);
    void give_up(const std::function<bool(const Operation&)>& is_over);

    OpenDhtIndex::Options options_;
    asio::io_context& io_;  // owned by the OpenDhtIndex
    asio::steady_timer ticker_;
    TrafficCounters traffic_;
    std::vector<std::unique_ptr<IndexSide>> sides_;

    std::map<OperationId, Operation> operations_;
    std::deque<OperationId> waiting_;
    OperationId last_id_ = 0;
    std::size_t running_ = 0;  // and not told

    std::uint64_t puts_ = 0;
    std::uint64_t lookups_ = 0;
};

}  // namespace flow29::dht
