// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/assert.hpp"
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
    void keep_to_itself() { gives_ = false; }
    /// Found damaged by the next look at it, and dropped then.
    void rot(const ExtentHash& extent) { rotten_.insert(extent); }
    void lose(const RootHash& root) { lost_descriptors_.insert(root); }

    Result<core::Descriptor> descriptor(const RootHash& root) override {
        if (lost_descriptors_.contains(root)) return fail(Errc::not_found, "lost");
        return ForwardingStore::descriptor(root);
    }
    Result<void> put_object(const RootHash& root, const core::Descriptor& descriptor,
                            std::string_view name) override {
        lost_descriptors_.erase(root);
        return ForwardingStore::put_object(root, descriptor, name);
    }

    Result<void> scrub(const ExtentHash& extent) override {
        if (rotten_.erase(extent) == 0) return ForwardingStore::scrub(extent);
        // As a store does that drops what is damaged: what is noted about it stays.
        const auto noted = holders({proto::ItemId::of(extent)});
        if (auto dropped = drop_extent(extent); !dropped) return fail(dropped.error());
        if (auto kept = add_holders(noted); !kept) return kept;
        return fail(Errc::corrupt_store, "rotten");
    }

    Result<store::ExtentSlice> read(const ExtentHash& extent, ChunkRange chunks) override {
        if (!gives_ || lost_.contains(extent)) return fail(Errc::not_found, "lost");
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
    bool gives_ = true;
    std::set<RootHash> lost_descriptors_;
    std::set<ExtentHash> rotten_;
};

struct NodeOptions {
    bool storing = true;
    std::optional<ByteCount> capacity = {};  ///< the swarm's, if not given
    bool check_reach = false;                ///< as a node that does not listen on loopback
};

/// A swarm of the program's own engines on a simulated network, index, clock and disk.
class Swarm {
  public:
    /// No operation takes longer.
    static constexpr Duration operation_timeout = std::chrono::minutes(10);

    struct Options {
        std::uint64_t seed = 1;
        Duration grace = std::chrono::minutes(2);
        ByteCount capacity{64ULL << 20};
        unsigned nodes_per_group = 1;  ///< nodes that share a /24
        Duration audit_period = std::chrono::hours(1);
        // None unless it is quotas that are looked at: most tests have one publisher.
        unsigned quota_publisher = 100;
        unsigned quota_group = 100;
        ByteCount part_bytes{64ULL << 20};
    };

    explicit Swarm(Options options);
    ~Swarm();

    [[nodiscard]] World& world() { return world_; }
    [[nodiscard]] Network& network() { return network_; }
    [[nodiscard]] const Network& network() const { return network_; }
    [[nodiscard]] std::size_t size() const { return nodes_.size(); }
    [[nodiscard]] bool up(std::size_t node) const { return nodes_[node]->engine != nullptr; }
    [[nodiscard]] node::Engine& engine(std::size_t node) { return *nodes_[node]->engine; }
    [[nodiscard]] store::Store& store(std::size_t node) const { return nodes_[node]->disk->store; }
    [[nodiscard]] NodeId id(std::size_t node) const { return nodes_[node]->disk->identity.id(); }
    [[nodiscard]] const core::Endpoint& endpoint(std::size_t node) const {
        return nodes_[node]->endpoint;
    }
    [[nodiscard]] const core::Identity& identity(std::size_t node) const {
        return nodes_[node]->disk->identity;
    }
    [[nodiscard]] SimRuntime& runtime(std::size_t node) { return *nodes_[node]->runtime; }

    /// Adds a node that joins through an earlier one; its number.
    std::size_t add(NodeOptions options = {});
    /// The same with a store that was there before.
    std::size_t add(NodeOptions options, std::unique_ptr<store::Store> store);
    /// As kill -9: nothing is said to anybody, the store stays.
    void crash(std::size_t node);
    void restart(std::size_t node);
    /// Its disk is lost while it is down. With `new_key` its identity was on that disk as well.
    void lose_disk(std::size_t node, bool new_key);
    /// Cuts these nodes off from all others that there are now; `network().heal()` undoes it.
    void cut_off(const std::set<std::size_t>& nodes);
    /// Runs until `count` nodes are up and have met the swarm.
    void grow_to(std::size_t count, Duration between);

    /// Runs the world until an operation of this node has ended; what it returned.
    template <class T>
    [[nodiscard]] T finish(std::size_t node, asio::awaitable<T> operation);

    /// Publishes `content` and runs until it is done.
    [[nodiscard]] Result<PublishResult> publish(std::size_t node, const Bytes& content,
                                                unsigned copies = 4,
                                                std::optional<unsigned> level = std::nullopt);
    /// The same with what else a request may say; `request` names no source.
    [[nodiscard]] Result<PublishResult> publish(std::size_t node, const Bytes& content,
                                                PublishRequest request);
    /// Begins that; how it ended is in `result` then.
    void begin_to_publish(std::size_t node, const Bytes& content, PublishRequest request,
                          std::optional<Result<PublishResult>>* result);
    /// Limits what repair takes in on each node that is up.
    void limit_repair(ByteCount bytes_per_second);
    /// Has a node withdraw what it published.
    [[nodiscard]] Result<Withdrawal> withdraw(std::size_t node, const RootHash& root);
    /// Has one node connect to another and send it a request; the answer.
    [[nodiscard]] Result<net::Reply> ask(std::size_t from, std::size_t to, proto::Message request);
    /// Begins that; the answer is in `reply` when it has come.
    void begin_to_ask(std::size_t from, std::size_t to, proto::Message request,
                      std::optional<Result<net::Reply>>* reply);
    /// Has one node connect to another, tell it something and let it act on that.
    void tell(std::size_t from, std::size_t to, proto::Message notification);
    /// Nodes up now, `besides` left out, that have anything of the object.
    [[nodiscard]] std::vector<std::size_t> keepers(const core::Descriptor& descriptor,
                                                   std::optional<std::size_t> besides);
    /// Streams an object to its end, or a range of it, and runs until it is there.
    [[nodiscard]] Result<Bytes> fetch(std::size_t node, const RootHash& root,
                                      std::optional<ByteRange> range = std::nullopt);
    /// Likewise, and how long it took until the reader had the first byte.
    [[nodiscard]] Result<Duration> first_byte(std::size_t node, const RootHash& root);

    /// From now on the node lacks what it stores of every `one_in`th extent; `claims`: and says
    /// that it has it. Those it has lost.
    std::vector<ExtentHash> lose_extents(std::size_t node, const core::Descriptor& descriptor,
                                         unsigned one_in, bool claims);

    /// From now on the node takes in what it is invited to keep, and gives nothing of any extent.
    void keep_to_itself(std::size_t node) { nodes_[node]->disk->store.keep_to_itself(); }

    /// Likewise the descriptor, until it comes again. Without it the node has nothing of the
    /// object.
    void lose_descriptor(std::size_t node, const RootHash& root) {
        nodes_[node]->disk->store.lose(root);
    }

    /// From now on what the node stores of this extent is damaged.
    void rot(std::size_t node, const ExtentHash& extent) { nodes_[node]->disk->store.rot(extent); }
    /// Has a node read what it keeps against its hashes, and runs until it did.
    [[nodiscard]] Result<Verification> verify(std::size_t node,
                                              std::optional<RootHash> root = std::nullopt);

    /// Asks a node to leave and runs until it did, or said that it stays. It is still up then.
    [[nodiscard]] Result<Departure> leave(std::size_t node, bool force = false);

    /// What `node` says of itself.
    [[nodiscard]] Status status(std::size_t node);

    /// Whom `node` finds for an item by its bare hash.
    [[nodiscard]] std::vector<Holder> locate(std::size_t node, const proto::ItemId& item);

    /// What `node` knows of without asking anybody.
    [[nodiscard]] std::vector<ObjectEntry> objects(std::size_t node);

    /// What `node` finds out about an object.
    [[nodiscard]] Result<Health> health(std::size_t node, const RootHash& root);

    /// Has a node make missing copies and runs until it did.
    [[nodiscard]] Result<Health> repair(std::size_t node, const RootHash& root);

    /// Nodes up now that have the item, in order of their number.
    [[nodiscard]] std::vector<std::size_t> holders(const proto::ItemId& item) const;
    /// Of how many nodes up now, `besides` left out, every item of the object lies: the fewest over
    /// all items.
    [[nodiscard]] unsigned copies(const RootHash& root, const core::Descriptor& descriptor,
                                  std::optional<std::size_t> besides) const;

  private:
    /// What survives a crash.
    struct Disk {
        core::Identity identity;
        LossyStore store;
    };
    struct SimNode {
        NodeOptions options;
        std::uint64_t key_seed = 0;
        core::Endpoint endpoint;
        std::unique_ptr<Disk> disk;
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

    template <class T>
    [[nodiscard]] static asio::awaitable<void> run_into(std::optional<T>* outcome,
                                                        asio::awaitable<T> operation);
    void boot(SimNode& node);
    [[nodiscard]] ByteCount capacity_of(const SimNode& node) const;
    [[nodiscard]] std::unique_ptr<Disk> new_disk(const SimNode& node) const;
    Options options_;
    World world_;
    Network network_;
    std::vector<std::unique_ptr<Disk>> lost_disks_;  // crashed engines still refer to them
    std::vector<std::unique_ptr<SimNode>> nodes_;
    std::vector<std::unique_ptr<Remains>> remains_;
    std::uint64_t keys_ = 0;
};

template <class T>
asio::awaitable<void> Swarm::run_into(std::optional<T>* outcome, asio::awaitable<T> operation) {
    auto result = co_await std::move(operation);
    outcome->emplace(std::move(result));
}

template <class T>
T Swarm::finish(std::size_t node, asio::awaitable<T> operation) {
    std::optional<T> outcome;
    net::spawn(runtime(node), run_into(&outcome, std::move(operation)));
    world_.run_for(operation_timeout, [&outcome] { return outcome.has_value(); });
    FLOW29_ASSERT(outcome.has_value());
    return std::move(*outcome);
}

/// `size` bytes that depend on the seed alone.
[[nodiscard]] Bytes random_content(std::uint64_t seed, std::size_t size);

}  // namespace flow29::sim
