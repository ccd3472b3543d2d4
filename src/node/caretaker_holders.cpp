// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <map>

#include "core/log.hpp"
#include "node/caretaker.hpp"
#include "proto/dial_rules.hpp"

// What others say that they keep, or that somebody else keeps, and whether it is so.
namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration confirmation_grace = 3s;
}  // namespace

void Caretaker::on_learned(const NodeId& node, const std::vector<proto::ItemId>& kept,
                           const std::vector<proto::ItemId>& lost) {
    const auto now = services_.runtime.now();
    std::vector<proto::ItemId> news;
    for (const auto& item : kept) {
        if (!planner_.has_item(item)) continue;
        planner_.on_copy(item, node, now);
        news.push_back(item);
    }
    for (const auto& item : lost)
        planner_.on_no_copy(item, node, now);
    remember_holder(node, news);
    forget_holder(node, lost);
    changed_.notify_all();
}

void Caretaker::confirm_later(const NodeId& node, const std::vector<proto::ItemId>& items,
                              std::optional<Named> named) {
    if (node == services_.identity.id()) return;
    auto& waiting = to_confirm_[node];
    waiting.items.insert(items.begin(), items.end());
    if (named) waiting.named = std::move(named);
    changed_.notify_all();
}

void Caretaker::start_confirmations() {
    for (auto it = to_confirm_.begin(); it != to_confirm_.end();) {
        auto& [node, waiting] = *it;
        if (confirming_.contains(node)) {
            ++it;
            continue;
        }
        confirming_.insert(node);
        confirm_until_ = services_.runtime.now() + confirmation_grace;
        std::vector<proto::ItemId> items(waiting.items.begin(), waiting.items.end());
        tasks_.start(confirm(node, std::move(items), std::move(waiting.named)));
        it = to_confirm_.erase(it);
    }
}

asio::awaitable<void> Caretaker::confirm(NodeId node, std::vector<proto::ItemId> items,
                                         std::optional<Named> named) {
    auto peer = peers_.find(node);
    if (!peer) {
        std::optional<proto::NodeRecord> record;
        if (const auto* entry = table_.find(node)) {
            record = entry->record;
        } else {
            auto& store = services_.store;
            auto read = [&store, node] { return store.node_record(node); };
            record = co_await net::offload(services_.runtime, std::move(read));
        }
        if (record) {
            Named known{std::move(*record)};
            auto reached = co_await peers_.reach(std::move(known));
            if (reached) peer = *reached;
        }
        if (!peer && named) {
            auto reached = co_await peers_.reach(std::move(*named));
            if (reached) peer = *reached;
        }
    }
    if (peer) {
        std::vector<net::PeerPtr> only{peer};
        auto holdings = co_await finder_.ask_holdings(std::move(only), items);
        const auto now = services_.runtime.now();
        std::vector<proto::ItemId> kept;
        if (const auto found = holdings.find(node); found != holdings.end())
            for (std::size_t i = 0; i < items.size(); ++i) {
                if (found->second[i] == proto::Holding::kept) {
                    kept.push_back(items[i]);
                    planner_.on_copy(items[i], node, now);
                } else {
                    planner_.on_no_copy(items[i], node, now);
                }
            }
        remember_holder(node, kept);
    }
    confirming_.erase(node);
    changed_.notify_all();
}

void Caretaker::on_stored(const NodeId& node, const proto::Stored& stored) {
    const auto now = services_.runtime.now();
    std::vector<proto::ItemId> news;
    for (const auto& item : stored.items) {
        if (!planner_.has_item(item)) continue;
        planner_.on_copy(item, node, now);
        news.push_back(item);
    }
    for (const auto& item : stored.failed) {
        if (!planner_.has_item(item)) continue;
        planner_.on_invite_failed(item, node, now);
        planner_.on_no_copy(item, node, now);
    }
    changed_.notify_all();
    remember_holder(node, news);
    forget_holder(node, stored.failed);
}

void Caretaker::remember_holder(const NodeId& node, const std::vector<proto::ItemId>& items) {
    if (items.empty()) return;
    std::vector<store::KnownHolder> news;
    for (const auto& item : items)
        news.push_back({item, node});
    auto& store = services_.store;
    services_.runtime.run_on_worker(
        [&store, news] {
            if (auto kept = store.add_holders(news); !kept)
                log::warn("caretaker", "holders not kept: {}", kept.error().message());
        },
        [] {});
}

void Caretaker::forget_holder(const NodeId& node, const std::vector<proto::ItemId>& items) {
    if (items.empty()) return;
    std::vector<store::KnownHolder> gone;
    for (const auto& item : items)
        gone.push_back({item, node});
    auto& store = services_.store;
    services_.runtime.run_on_worker(
        [&store, gone] {
            if (auto forgotten = store.remove_holders(gone); !forgotten)
                log::warn("caretaker", "holders not forgotten: {}", forgotten.error().message());
        },
        [] {});
}

void Caretaker::on_holder_table(const proto::HolderTable& table, const core::Endpoint& namer) {
    std::map<NodeId, std::vector<proto::ItemId>> to_ask;
    for (const auto& entry : table.entries) {
        if (!planner_.has_item(entry.item)) continue;
        for (const auto position : entry.nodes)
            if (position < table.nodes.size())
                to_ask[table.nodes[position].node()].push_back(entry.item);
    }
    std::map<NodeId, proto::NodeRecord> named;
    for (const auto& record : table.nodes)
        named.insert_or_assign(record.node(), record);
    // Whoever reads a record from the store does not know who named it. A record is signed as a
    // whole, so one address in it that may not be named keeps it out.
    const auto may_name = [&namer](const core::Endpoint& address) {
        return proto::DialRules::may_name(namer, address);
    };
    auto records = table.nodes;
    std::erase_if(records, [&may_name](const proto::NodeRecord& record) {
        return !std::ranges::all_of(record.addresses, may_name);
    });
    auto& store = services_.store;
    services_.runtime.run_on_worker(
        [&store, records] {
            for (const auto& record : records)
                if (auto kept = store.put_node_record(record); !kept)
                    log::warn("caretaker", "record not kept: {}", kept.error().message());
        },
        [] {});
    const auto now = services_.runtime.now();
    for (const auto& [node, items] : to_ask) {
        // One that went away before it could be asked is waited for, as long as for any other: its
        // copy may be all right, and whether it is shows when it comes back.
        const auto* known = table_.find(node);
        if (known != nullptr && known->state != proto::NodeTable::State::gone)
            for (const auto& item : items)
                planner_.on_copy(item, node, now);
        confirm_later(node, items, Named{named.at(node), namer});
    }
}

asio::awaitable<void> Caretaker::on_audit_failed(NodeId node, proto::ItemId item, bool answered) {
    co_await confirm(node, planner_.items_of(node), std::nullopt);
    const auto holders = planner_.holders(item);
    if (std::ranges::find(holders, node) == holders.end()) co_return;
    const auto now = services_.runtime.now();
    for (const auto& claimed : planner_.items_of(node))
        planner_.on_no_copy(claimed, node, now);
    if (answered) peers_.ban(node, "it says that it keeps what it cannot prove");
    changed_.notify_all();
}

}  // namespace flow29::node
