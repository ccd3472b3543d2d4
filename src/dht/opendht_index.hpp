// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <flow29/error.hpp>
#include <flow29/limits.hpp>
#include "core/identity.hpp"
#include "core/line.hpp"
#include "core/swarm_key.hpp"
#include "dht/index.hpp"

namespace flow29::dht {

/// The index on OpenDHT, with a thread of its own: OpenDHT drops packets older than 650 ms, and its
/// sweeps stall for hundreds.
///
/// In each address family it is an index of its own, with a table, a store and neighbours of its
/// own; what is looked up is looked up in all of them. See IndexCore.
///
/// A storing node is two OpenDHT nodes in each. The *server* keeps its position and port, stores
/// and serves, and starts nothing. The *client*, on a free port of the same address, does all puts
/// and gets and is replaced every few thousand operations.
///
///     bind:port   server   position = first 20 bytes of NodeId     in everybody's routing tables
///     bind:any    client   random position, "s": true              in nobody's
///
/// Rationale: each operation leaves a cached search for 62 minutes, and every packet walks all of
/// them: after 17,000 operations a node does 65 per second instead of 1,000. And nobody must take a
/// client for a place to store at. A node that does not store has the client only.
class OpenDhtIndex final : public Index {
  public:
    struct Options {
        /// UDP: one address of each family, at least one in all; port 0: any free one.
        std::vector<core::Endpoint> bind;
        const core::Identity* identity = nullptr;  ///< of this node; outlives the index
        bool storing = true;
        std::uint32_t network = 0;     ///< nodes of another number are not heard
        std::vector<Contact> saved{};  ///< neighbours of an earlier run
        unsigned records_per_group = limits::records_per_group_max;
        /// Whether nodes on loopback count as different machines; default: if bound to loopback.
        std::optional<bool> loopback_is_diverse{};
        unsigned client_operations_max = limits::dht_client_operations_max;
        Duration client_age_max = limits::dht_client_age_max;
        /// How long an operation that one family has answered waits for the other.
        Duration other_family_max = std::chrono::seconds(2);
        core::Line* line = nullptr;                 ///< see AsioSocket
        std::optional<core::SwarmKey> swarm_key{};  ///< likewise
    };

    /// Binds and starts the thread. The system's error when the port is in use. Requires an
    /// identity.
    [[nodiscard]] static Result<std::unique_ptr<OpenDhtIndex>> start(Options options);
    /// stop().
    ~OpenDhtIndex() override;

    /// Where the servers listen (the clients, on a node that does not store), in the order of
    /// `bind`.
    [[nodiscard]] std::vector<core::Endpoint> local_endpoints() const;
    /// The first of them.
    [[nodiscard]] core::Endpoint local_endpoint() const { return local_endpoints().front(); }

    void announce(const proto::ProviderRecord& record, std::function<void(bool)> done) override;
    void announce(const proto::NodeRecord& record, std::function<void(bool)> done) override;
    void find(const DhtKey& key, std::function<void(Lookup)> done, SeenFn seen = {}) override;
    void find_node(const NodeId& node,
                   std::function<void(std::optional<proto::NodeRecord>)> done) override;
    void bootstrap(const std::vector<core::Endpoint>& endpoints) override;
    void hear_of(const std::vector<core::Endpoint>& endpoints) override;
    void neighbours(std::function<void(std::vector<Contact>)> done) override;
    void status(std::function<void(IndexStatus)> done) override;
    void stop() override;

  private:
    struct State;
    explicit OpenDhtIndex(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace flow29::dht
