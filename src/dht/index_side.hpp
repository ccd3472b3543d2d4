// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <asio/io_context.hpp>

#include "dht/client_pool.hpp"
#include "dht/greetings.hpp"
#include "dht/opendht_index.hpp"
#include "dht/record_rules.hpp"

namespace flow29::dht {

/// An index in one address family: the server, the clients, and how both stay connected. Knows
/// nothing of operations, which are IndexCore's.
///
/// Rules:
/// 1. While there is no neighbour, those that were named to join through are pinged again and
/// again,
///    and whoever was met last; who is merely heard of, once. See Greetings.
/// 2. A server that has joined looks up its own position, and again at growing intervals, and
///    greets whom it finds and who asks it.
///
/// Lives on the io_context's one thread.
class IndexSide {
  public:
    /// `options`: of the index, which owns them; `bind`: the address of theirs that this is for.
    IndexSide(asio::io_context& io, const OpenDhtIndex::Options& options,
              const core::Endpoint& bind, TrafficCounters& traffic,
              std::function<void()> on_status);

    /// Binds the sockets; to be called before the thread runs.
    [[nodiscard]] Result<void> open();
    [[nodiscard]] bool is_v4() const { return bind_.is_v4(); }
    /// Of the server; of the client, on a node that does not store.
    [[nodiscard]] core::Endpoint local_endpoint() const { return local_; }

    [[nodiscard]] bool has_neighbour() const {
        return server_ ? server_->connected() : clients_.connected();
    }
    /// Whether there is anybody to ask, this node's own server included.
    [[nodiscard]] bool can_ask() const { return clients_.connected(); }
    /// Whether it could come to that without a neighbour.
    [[nodiscard]] bool stores() const { return server_ != nullptr; }
    /// Until then a first neighbour may be waited for.
    [[nodiscard]] TimePoint hope_until() const { return hope_until_; }

    /// Counts an operation in, and out; see ClientPool.
    [[nodiscard]] std::uint64_t acquire() { return clients_.acquire(); }
    void release(std::uint64_t generation) { clients_.release(generation); }
    [[nodiscard]] OpenDhtRunner& client() { return clients_.current(); }

    /// Does what is due.
    void tick(TimePoint now);
    void on_status(TimePoint now);
    /// Endpoints of the other family are passed over, here and below.
    void bootstrap(const std::vector<core::Endpoint>& endpoints, TimePoint now);
    void hear_of(const std::vector<core::Endpoint>& endpoints, TimePoint now);
    /// Those that are pinged while there is no neighbour.
    [[nodiscard]] const std::vector<core::Endpoint>& bootstrap_endpoints() const {
        return bootstrap_endpoints_;
    }
    [[nodiscard]] std::vector<Contact> neighbours();
    [[nodiscard]] std::size_t stored_values() const {
        return server_ ? server_->stored_values() : 0;
    }
    void drop_self(std::vector<Contact>& contacts) const;
    void shut_down();

  private:
    [[nodiscard]] Result<void> open_server();
    void introduce(OpenDhtRunner& client);
    /// The one that others know.
    [[nodiscard]] OpenDhtRunner& main_runner() { return server_ ? *server_ : clients_.current(); }
    void call_bootstrap_nodes(TimePoint now);
    void greet(const core::Endpoint& endpoint, TimePoint now);
    void explore(TimePoint now);
    void on_explored(std::uint64_t generation, RunnerOutcome outcome);

    asio::io_context& io_;                  // owned by the index
    const OpenDhtIndex::Options& options_;  // owned by the index
    core::Endpoint bind_;
    TrafficCounters& traffic_;  // owned by the index
    std::function<void()> status_changed_;
    RecordRules rules_;
    ClientPool clients_;
    std::unique_ptr<OpenDhtRunner> server_;
    core::Endpoint local_;

    std::vector<core::Endpoint> bootstrap_endpoints_;
    std::vector<Contact> saved_;
    std::vector<Contact> met_;  // by the latest exploration
    TimePoint next_bootstrap_{};
    TimePoint hope_until_{};
    Greetings greetings_;
    TimePoint next_explore_{};
    Duration explore_interval_{};
};

}  // namespace flow29::dht
