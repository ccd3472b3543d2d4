// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/copy_planner.hpp"
#include "proto/kept_ledger.hpp"

namespace flow29::node {

/// Learns which of the items cared for here each connected neighbour keeps, and says what is kept
/// here. Two nodes compare ledgers when they meet and every `period` after that: a message each
/// while nothing changed, so the work grows with neighbours and not with items.
class KeptSync {
  public:
    /// A neighbour says that it keeps, or no longer keeps, these.
    using LearnedFn = std::function<void(const NodeId& node, const std::vector<proto::ItemId>& kept,
                                         const std::vector<proto::ItemId>& lost)>;

    /// `planner` says what is cared for and what is believed.
    KeptSync(Services services, Tasks& tasks, PeerBook& peers, const proto::CopyPlanner& planner,
             LearnedFn learned)
        : services_(services),
          tasks_(tasks),
          peers_(peers),
          planner_(planner),
          learned_(std::move(learned)),
          changed_(services.runtime) {}

    /// These became durable here under a lease of somebody else.
    void on_kept(const std::vector<proto::ItemId>& items);
    /// All that was kept here before the start has been named. Until then nobody is told what is
    /// kept: what is not named yet would be taken for lost.
    void on_loaded() { loaded_ = true; }
    /// Something about these changed: what the store has decides.
    [[nodiscard]] asio::awaitable<void> refresh(std::vector<proto::ItemId> items);
    /// More is cared for here than before, and those who are connected are asked about it. Of the
    /// others it is not known whether they keep that, although their ledgers are as they were.
    void on_more_cared_for();
    /// Compares with this node now.
    void look_now(const NodeId& node);

    /// Compares until the tasks stop.
    [[nodiscard]] asio::awaitable<void> run();
    void wake() { changed_.notify_all(); }
    /// A node that appeared has not been heard yet, and was not silent for long.
    [[nodiscard]] bool expecting() const;

    [[nodiscard]] asio::awaitable<Result<net::Reply>> answer(proto::GetKept ask);
    [[nodiscard]] const proto::KeptLedger& ledger() const { return ledger_; }

  private:
    struct Known {
        proto::KeptState state;  // zero: nothing
        TimePoint next{};        // when to compare again
        bool comparing = false;
    };
    struct Heard {
        std::vector<proto::ItemId> kept, lost;
    };

    [[nodiscard]] asio::awaitable<void> compare(net::PeerPtr peer);
    [[nodiscard]] asio::awaitable<bool> ask(net::PeerPtr peer, proto::KeptState& state);
    /// Reads one part of a list that the peer sent.
    [[nodiscard]] asio::awaitable<bool> read_part(net::PeerPtr peer, proto::KeptList list,
                                                  core::Buffer names, std::uint32_t part);

    Services services_;
    Tasks& tasks_;                       // owned by the engine
    PeerBook& peers_;                    // owned by the engine
    const proto::CopyPlanner& planner_;  // owned by the caretaker
    LearnedFn learned_;
    net::Signal changed_;
    proto::KeptLedger ledger_;
    bool loaded_ = false;
    std::unordered_map<NodeId, Known> known_;
    std::unordered_map<NodeId, TimePoint> expected_;  // until when repair waits for them
};

}  // namespace flow29::node
