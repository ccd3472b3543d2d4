// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <vector>

#include <flow29/error.hpp>
#include "core/endpoint.hpp"
#include "core/time.hpp"
#include "proto/record.hpp"

namespace flow29::dht {

/// A node as the DHT names it: not confirmed, perhaps dead, perhaps a thief of that position.
struct Contact {
    DhtKey position;  ///< first 20 bytes of the NodeId, if it tells the truth
    core::Endpoint endpoint;

    bool operator==(const Contact&) const = default;
};

/// What one look-up at a key brings back.
struct Lookup {
    /// Verified, within their window, bounded; of one signer one for each address family.
    std::vector<proto::ProviderRecord> providers;
    /// Nearest first, self left out; a node may be there once for each address family.
    std::vector<Contact> nearest;
    bool connected = true;  ///< false: no neighbour answered at all
};

/// Counters since the start.
struct IndexStatus {
    bool connected = false;
    std::size_t good_nodes = 0;
    std::uint64_t packets_up = 0;
    std::uint64_t packets_down = 0;
    std::uint64_t bytes_up = 0;
    std::uint64_t bytes_down = 0;
    std::uint64_t datagrams_dropped = 0;  ///< by the guard
    std::uint64_t datagrams_foreign = 0;  ///< in a private swarm: sealed by no member
    std::uint64_t puts = 0;
    std::uint64_t lookups = 0;
    std::size_t stored_values = 0;
};

/// The distributed index: chunk, extent and root hashes to the nodes that hold them, and any key to
/// the nodes nearest to it. The OpenDHT adaptor and the simulator implement it.
///
/// All functions may be called from one thread (the owner's) and return at once. Callbacks run on a
/// thread of the index: copy, post to your own executor, return; never call the index from inside.
class Index {
  public:
    virtual ~Index() = default;

    /// Publishes a signed record at its key on the nodes nearest to it, once; the caller renews. It
    /// goes to nodes of the family of its address: others would refuse it, as they cannot compare.
    /// The callback tells whether any neighbour was there to take it, not that it is stored.
    virtual void announce(const proto::ProviderRecord& record, std::function<void(bool)> done) = 0;
    /// Publishes this node's own record at core::node_key, in all families.
    virtual void announce(const proto::NodeRecord& record, std::function<void(bool)> done) = 0;

    /// Some of a look-up's providers, verified.
    using SeenFn = std::function<void(std::vector<proto::ProviderRecord>)>;

    /// Provider records at `key` and the nodes nearest to it. `done` is called once, always;
    /// `seen`, if given, any number of times before: providers as they come, some of them more than
    /// once. Rationale: the first is there after a round trip or two, the end takes many.
    virtual void find(const DhtKey& key, std::function<void(Lookup)> done, SeenFn seen = {}) = 0;
    /// The newest record that a node has published about itself.
    virtual void find_node(const NodeId& node,
                           std::function<void(std::optional<proto::NodeRecord>)> done) = 0;

    /// Tries these addresses now, and again until connected.
    virtual void bootstrap(const std::vector<core::Endpoint>& endpoints) = 0;
    /// Somebody may be there: tried once, if no neighbour of that family is known.
    virtual void hear_of(const std::vector<core::Endpoint>& endpoints) = 0;
    /// Good neighbours now, to be saved and bootstrapped from after a restart.
    virtual void neighbours(std::function<void(std::vector<Contact>)> done) = 0;
    virtual void status(std::function<void(IndexStatus)> done) = 0;

    /// Ends all work; pending callbacks are called with failure. Blocks until the thread has ended.
    virtual void stop() = 0;
};

}  // namespace flow29::dht
