// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "node/engine.hpp"
#include "sim/network.hpp"
#include "sim/world.hpp"
#include "store/store.hpp"
#include "support/forwarding_store.hpp"

namespace flow29::sim {

/// A store that may lose extents without noticing.
class LossyStore : public test::ForwardingStore {
  public:
    using ForwardingStore::ForwardingStore;

    void lose(const ExtentHash& extent, bool claims) { lost_.emplace(extent, claims); }

    Result<store::ExtentSlice> read(const ExtentHash& extent, ChunkRange chunks) override {
        if (lost_.contains(extent)) return fail(Errc::not_found, "lost");
        return ForwardingStore::read(extent, chunks);
    }
    bool has_extent(const ExtentHash& extent) override {
        const auto lost = lost_.find(extent);
        return lost == lost_.end() ? ForwardingStore::has_extent(extent) : lost->second;
    }

    bool owns_extent(const ExtentHash& extent) override {
        const auto lost = lost_.find(extent);
        return lost == lost_.end() ? ForwardingStore::owns_extent(extent) : lost->second;
    }

  private:
    std::unordered_map<ExtentHash, bool> lost_;  // and whether it is claimed
};

/// A swarm of the program's own engines on a simulated network, index, clock and disk.
class Swarm {
  public:
    struct Options {
        std::uint64_t seed = 1;
        Duration grace = std::chrono::minutes(2);
        ByteCount capacity{64ULL << 20};
        unsigned nodes_per_group = 1;  ///< nodes that share a /24
        Duration audit_period = std::chrono::hours(1);
    };

    explicit Swarm(Options options);
    ~Swarm();

    [[nodiscard]] World& world() { return world_; }
    [[nodiscard]] Network& network() { return network_; }
    [[nodiscard]] std::size_t size() const { return nodes_.size(); }
    [[nodiscard]] bool up(std::size_t node) const { return nodes_[node]->engine != nullptr; }
    [[nodiscard]] node::Engine& engine(std::size_t node) { return *nodes_[node]->engine; }
    [[nodiscard]] store::Store& store(std::size_t node) { return *nodes_[node]->store; }
    [[nodiscard]] NodeId id(std::size_t node) const { return nodes_[node]->identity.id(); }
    [[nodiscard]] const core::Identity& identity(std::size_t node) const {
        return nodes_[node]->identity;
    }
    [[nodiscard]] SimRuntime& runtime(std::size_t node) { return *nodes_[node]->runtime; }

    /// Adds a node that joins through an earlier one; its number.
    std::size_t add(bool storing = true);
    /// As kill -9: nothing is said to anybody, the store stays.
    void crash(std::size_t node);
    void restart(std::size_t node);
    /// Runs until `count` nodes are up and have met the swarm.
    void grow_to(std::size_t count, Duration between);

    /// Publishes `content` and runs until it is done.
    [[nodiscard]] Result<PublishResult> publish(std::size_t node, const Bytes& content,
                                                unsigned copies = 4,
                                                std::optional<unsigned> level = std::nullopt);
    /// The same with what else a request may say; `request` names no source.
    [[nodiscard]] Result<PublishResult> publish(std::size_t node, const Bytes& content,
                                                PublishRequest request);
    /// Has a node withdraw what it published.
    [[nodiscard]] Result<Withdrawal> withdraw(std::size_t node, const RootHash& root);
    /// Has one node connect to another and send it a request; the answer.
    [[nodiscard]] Result<net::Reply> ask(std::size_t from, std::size_t to, proto::Message request);
    /// Nodes up now, `besides` left out, that have anything of the object.
    [[nodiscard]] std::vector<std::size_t> keepers(const core::Descriptor& descriptor,
                                                   std::optional<std::size_t> besides);
    /// Streams an object to its end and runs until it is there.
    [[nodiscard]] Result<Bytes> fetch(std::size_t node, const RootHash& root);

    /// From now on the node lacks what it stores of every `one_in`th extent; `claims`: and says
    /// that it has it. Those it has lost.
    std::vector<ExtentHash> lose_extents(std::size_t node, const core::Descriptor& descriptor,
                                         unsigned one_in, bool claims);

    /// Asks a node to leave and runs until it did, or said that it stays. It is still up then.
    [[nodiscard]] Result<Departure> leave(std::size_t node, bool force = false);

    /// Has a node make missing copies and runs until it did.
    [[nodiscard]] Result<Health> repair(std::size_t node, const RootHash& root);

    /// Nodes up now, `besides` left out, that hold every item of the object: the fewest over all.
    [[nodiscard]] unsigned copies(const RootHash& root, const core::Descriptor& descriptor,
                                  std::optional<std::size_t> besides);

  private:
    struct SimNode {
        SimNode(core::Identity key, bool is_storing)
            : identity(std::move(key)), storing(is_storing) {}
        core::Identity identity;
        bool storing;
        core::Endpoint endpoint;
        std::unique_ptr<LossyStore> store;
        std::unique_ptr<SimRuntime> runtime;
        std::unique_ptr<SimTransport> transport;
        std::unique_ptr<SimIndex> index;
        std::unique_ptr<node::Engine> engine;
    };
    /// What a crashed node leaves behind until its last coroutine has ended.
    struct Remains {
        std::unique_ptr<SimRuntime> runtime;
        std::unique_ptr<SimTransport> transport;
        std::unique_ptr<SimIndex> index;
        std::unique_ptr<node::Engine> engine;
    };

    void boot(SimNode& node);

    Options options_;
    World world_;
    Network network_;
    std::vector<std::unique_ptr<SimNode>> nodes_;
    std::vector<std::unique_ptr<Remains>> remains_;
};

/// `size` bytes that depend on the seed alone.
[[nodiscard]] Bytes random_content(std::uint64_t seed, std::size_t size);

}  // namespace flow29::sim
