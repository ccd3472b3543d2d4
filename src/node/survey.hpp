// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <set>
#include <utility>

#include <flow29/node.hpp>
#include "node/finder.hpp"
#include "node/services.hpp"

namespace flow29::node {

/// Asks the swarm how an object is: how many live copies each part of it has, and for whom they are
/// kept; and tells its holders of a withdrawal.
class Survey {
  public:
    /// What a node says that it keeps, and some of which it has just proved.
    using OnProved = std::function<void(const NodeId&, const proto::Stored&)>;

    Survey(Services services, Tasks& tasks, PeerBook& peers, Finder& finder,
           Neighbourhood& neighbourhood, const proto::NodeTable& table, OnProved on_proved)
        : services_(services),
          tasks_(tasks),
          peers_(peers),
          finder_(finder),
          neighbourhood_(neighbourhood),
          table_(table),
          on_proved_(std::move(on_proved)) {}

    [[nodiscard]] asio::awaitable<Result<Health>> health(Link link, Duration timeout,
                                                         ProgressFn progress);
    [[nodiscard]] asio::awaitable<Result<ObjectMap>> map(Link link, Duration timeout,
                                                         ProgressFn progress);
    /// Tells those who hold it, and those of `asked` who may be about to.
    [[nodiscard]] asio::awaitable<Result<Withdrawal>> withdraw(RootHash root,
                                                               std::set<NodeId> asked,
                                                               ProgressFn progress);

    /// Which live nodes keep each item of an object, by their own word just now. Entry 0 is the
    /// descriptor, then the extents in order.
    struct Census {
        core::Descriptor descriptor;
        std::vector<std::vector<net::PeerPtr>> holders;
        std::vector<std::size_t> coming;  ///< how many nodes are pulling it
        std::vector<bool> held_here;
        std::vector<net::PeerPtr> served;  ///< the descriptor, whether they keep it or not
    };
    [[nodiscard]] asio::awaitable<Result<Census>> census(Link link, Duration timeout,
                                                         ProgressFn progress);

    /// The lease of this object that asks for most copies, among those that its holders know, those
    /// known here, and that are not over.
    [[nodiscard]] asio::awaitable<std::optional<proto::Lease>> widest_lease(
        RootHash root, std::vector<net::PeerPtr> holders);
    /// All leases of this object that these know, and those known here; over or not.
    [[nodiscard]] asio::awaitable<std::vector<proto::Lease>> leases(
        RootHash root, std::vector<net::PeerPtr> holders);

  private:
    /// Has every holder prove some of what it says it keeps, picked at random; who cannot is no
    /// holder. How many proofs held.
    [[nodiscard]] asio::awaitable<std::uint64_t> audit(Census& census, RootHash root);
    /// Whoever cares for it here need not wait until its holders tell of it by themselves.
    void tell_proved(const Census& census, const RootHash& root) const;
    [[nodiscard]] asio::awaitable<std::vector<proto::Lease>> ask_leases(net::PeerPtr peer,
                                                                        RootHash root);
    struct Audited {
        net::PeerPtr peer;
        std::uint64_t passed = 0;
        bool failed = false;
    };
    [[nodiscard]] asio::awaitable<Audited> audit_peer(
        net::PeerPtr peer, std::shared_ptr<const core::Descriptor> object,
        std::vector<proto::ItemId> items);
    [[nodiscard]] asio::awaitable<bool> tell_withdrawal(net::PeerPtr peer, proto::Lease lease);

    /// How much was missing when an object was looked at first, and since when it is missed.
    struct Progressing {
        TimePoint since, seen;
        ByteCount missing;
    };
    [[nodiscard]] std::optional<std::chrono::milliseconds> note_progress(const RootHash& root,
                                                                         ByteCount missing);

    Services services_;
    Tasks& tasks_;                   // owned by the engine
    PeerBook& peers_;                // owned by the engine
    Finder& finder_;                 // owned by the engine
    Neighbourhood& neighbourhood_;   // owned by the engine
    const proto::NodeTable& table_;  // owned by the engine
    OnProved on_proved_;
    std::map<RootHash, Progressing> progress_;
};

}  // namespace flow29::node
