// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/copy_planner.hpp"
#include "proto/hint_table.hpp"
#include "proto/kept_ledger.hpp"
#include "proto/node_table.hpp"

namespace flow29::node {

/// Tells the nodes nearest to a key who keeps its data, when this node is no longer near enough to
/// be asked itself; remembers what others tell, and answers from it. So a swarm that grows moves
/// words and not data.
class Hinter {
  public:
    Hinter(Services services, Tasks& tasks, PeerBook& peers, const proto::NodeTable& table,
           const proto::CopyPlanner& planner, const proto::KeptLedger& ledger)
        : services_(services),
          tasks_(tasks),
          peers_(peers),
          table_(table),
          planner_(planner),
          ledger_(ledger),
          changed_(services.runtime) {}

    /// These are kept here now.
    void on_kept(const std::vector<proto::ItemId>& items);
    void on_node_changed(const NodeId& node);
    void on_hint(const NodeId& node, const proto::Hint& hint);
    [[nodiscard]] proto::HolderTable answer(const proto::GetHinted& ask) const;

    /// Tells until the tasks stop.
    [[nodiscard]] asio::awaitable<void> run();
    void wake() { changed_.notify_all(); }
    [[nodiscard]] std::size_t remembered() const { return hints_.size(); }

  private:
    /// Items to tell about: to `only`, or to whoever is nearest.
    struct Work {
        std::optional<NodeId> only;
        std::vector<proto::ItemId> items;
    };

    void tell(const Work& work);
    [[nodiscard]] std::vector<NodeId> to_be_told(const proto::ItemId& item) const;
    void tell_all_again();

    Services services_;
    Tasks& tasks_;                       // owned by the engine
    PeerBook& peers_;                    // owned by the engine
    const proto::NodeTable& table_;      // owned by the engine
    const proto::CopyPlanner& planner_;  // owned by the caretaker
    const proto::KeptLedger& ledger_;    // owned by the caretaker
    net::Signal changed_;
    proto::HintTable hints_;
    std::deque<Work> work_;
    TimePoint next_round_{};
};

}  // namespace flow29::node
