// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <flow29/node.hpp>
#include "core/descriptor.hpp"
#include "core/file_key.hpp"
#include "node/descriptor_search.hpp"
#include "node/neighbourhood.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"

namespace flow29::node {

/// An object's descriptor and connected nodes that have it, or parts of the object.
struct FoundObject {
    core::Descriptor descriptor;
    std::optional<core::FileKey> key;  ///< of a private object; the link has it
    std::vector<net::PeerPtr> holders;
    std::set<ExtentIndex> local;  ///< extents that this node has itself
    /// What found it, still hearing answers; null if nobody had to be asked.
    std::shared_ptr<DescriptorSearch> search;

    /// What it is, decrypted if it is private.
    [[nodiscard]] ObjectKind kind() const { return key ? key->kind() : descriptor.kind; }
};

/// Finds who holds what, all three ways at once: provider records at the key, the confirmed nodes
/// nearest to it, and the holder tables that descriptor holders serve.
class Finder {
  public:
    Finder(Services services, Tasks& tasks, PeerBook& peers, Neighbourhood& neighbourhood,
           const proto::NodeTable& table)
        : services_(services),
          tasks_(tasks),
          peers_(peers),
          neighbourhood_(neighbourhood),
          table_(table) {}

    /// What a search is for: the first byte soon, or everybody who has it.
    enum class Aim : std::uint8_t { first, all };

    /// The object's descriptor, from the store or from the swarm, and whoever serves it. Keeps
    /// trying until the timeout; but not when one search after another was conclusive and nobody
    /// near the key is away: then nobody has it, and a link that was mistyped shows soon. Errors:
    /// not_found (naming what was tried), no_network, interrupted.
    [[nodiscard]] asio::awaitable<Result<FoundObject>> find_object(RootHash root,
                                                                   std::vector<core::Endpoint> at,
                                                                   Duration timeout,
                                                                   std::stop_token stop,
                                                                   StageFn stage, Aim aim);

    /// Extents of one object, half-open.
    struct ExtentSpan {
        ExtentIndex first;
        ExtentIndex last;
    };
    /// Connects to those that the holder tables of these nodes name for these extents, and tells of
    /// each at once.
    using HolderFn = std::function<void(const net::PeerPtr&)>;
    [[nodiscard]] asio::awaitable<void> reach_holders(RootHash root, ExtentSpan extents,
                                                      std::vector<net::PeerPtr> descriptor_holders,
                                                      HolderFn tell);

    /// Connected nodes at which placement would have put the item, best first.
    [[nodiscard]] std::vector<net::PeerPtr> likely_holders(const proto::ItemId& item,
                                                           std::size_t count_max) const;

    /// Connected nodes that may hold this item: providers by record, and the nearest.
    struct Located {
        std::vector<net::PeerPtr> by_record;
        std::vector<net::PeerPtr> nearby;       ///< those that they have a hint of, too
        std::optional<ByteCount> chunk_length;  ///< when a record says that this is a single chunk
    };
    [[nodiscard]] asio::awaitable<Located> locate(proto::ItemId item);

    /// What each of the peers has of these items, by asking it: one entry per peer that answered.
    using Holdings = std::map<NodeId, std::vector<proto::Holding>>;
    [[nodiscard]] asio::awaitable<Holdings> ask_holdings(std::vector<net::PeerPtr> peers,
                                                         std::vector<proto::ItemId> items);

    /// Merged holder tables of one object: item → nodes, hints not yet confirmed.
    struct Table {
        std::map<NodeId, proto::NodeRecord> nodes;
        std::map<proto::ItemId, std::set<NodeId>> holders;

        void merge(Table other);
    };
    /// The tables of all these nodes. A node knows best about the items that it holds itself.
    [[nodiscard]] asio::awaitable<Table> holder_table(RootHash root, std::size_t extents,
                                                      std::vector<net::PeerPtr> sources);

  private:
    /// Whether somebody is missing, and may be back, who is among the nearest to the key.
    [[nodiscard]] bool is_somebody_away(const DhtKey& key) const;

    struct Reaching;  // what the dials of one reach_holders share

    [[nodiscard]] asio::awaitable<bool> reach_named_by(net::PeerPtr source, RootHash root,
                                                       ExtentSpan extents,
                                                       std::shared_ptr<Reaching> reaching);
    [[nodiscard]] asio::awaitable<bool> reach_holder(Named named,
                                                     std::shared_ptr<Reaching> reaching);
    /// Connected nodes that told those nearest to its key that they keep the item.
    [[nodiscard]] asio::awaitable<std::vector<net::PeerPtr>> hinted(proto::ItemId item);
    [[nodiscard]] asio::awaitable<std::vector<Named>> ask_hinted(net::PeerPtr peer,
                                                                 proto::ItemId item);
    [[nodiscard]] asio::awaitable<Table> ask_table(net::PeerPtr peer, RootHash root,
                                                   ExtentSpan extents);
    [[nodiscard]] asio::awaitable<std::pair<NodeId, std::optional<std::vector<proto::Holding>>>>
    ask_one(net::PeerPtr peer, std::vector<proto::ItemId> items);

    Services services_;
    Tasks& tasks_;                   // owned by the engine
    PeerBook& peers_;                // owned by the engine
    Neighbourhood& neighbourhood_;   // owned by the engine
    const proto::NodeTable& table_;  // owned by the engine
};

}  // namespace flow29::node
