// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/hinter.hpp"

#include <algorithm>
#include <map>

namespace flow29::node {

using namespace std::chrono_literals;

namespace {
constexpr std::size_t asked_anyway = 14;  // nearest nodes: a look-up lists them, so they are asked
constexpr std::size_t items_per_step = 1000;
constexpr Duration step_pause = 50ms;
constexpr Duration tick = 10s;
constexpr Duration round_period = 8h;  // of telling everything again; hints live for a day
}  // namespace

void Hinter::on_kept(const std::vector<proto::ItemId>& items) {
    work_.push_back({std::nullopt, items});
    changed_.notify_all();
}

void Hinter::on_node_changed(const NodeId& node) {
    if (!table_.counts(node)) hints_.forget_node(node);
    if (!table_.is_alive(node)) return;
    work_.push_back({node, ledger_.items_of_part(0, 1)});
    changed_.notify_all();
}

void Hinter::on_hint(const NodeId& node, const proto::Hint& hint) {
    hints_.on_hint(node, hint.items, services_.runtime.now());
}

proto::HolderTable Hinter::answer(const proto::GetHinted& ask) const {
    proto::HolderTable table;
    std::map<NodeId, std::uint32_t> positions;
    for (const auto& item : ask.items) {
        proto::HolderTable::Entry entry{item, {}};
        for (const auto& node : hints_.holders(item, services_.runtime.now())) {
            const auto* known = table_.find(node);
            if (known == nullptr) continue;
            const auto next = static_cast<std::uint32_t>(table.nodes.size());
            const auto found = positions.find(node);
            if (found == positions.end()) {
                if (next >= limits::records_per_message_max) continue;
                positions.emplace(node, next);
                table.nodes.push_back(known->record);
            }
            entry.nodes.push_back(found == positions.end() ? next : found->second);
        }
        if (!entry.nodes.empty()) table.entries.push_back(std::move(entry));
    }
    return table;
}

/// The nearest nodes that do not keep the item; nobody while this node is among those that a search
/// asks anyway.
std::vector<NodeId> Hinter::to_be_told(const proto::ItemId& item) const {
    const auto key = item.key(services_.keys);
    auto nearest = table_.nearest_ids(key, asked_anyway);
    if (nearest.size() < asked_anyway) return {};
    const auto own = core::dht_position(services_.identity.id());
    if (core::nearer(key, own, core::dht_position(nearest.back()))) return {};
    const auto holders = planner_.holders(item);
    std::erase_if(nearest, [&holders](const NodeId& node) {
        return std::ranges::find(holders, node) != holders.end();
    });
    if (nearest.size() > limits::hinted_nodes) nearest.resize(limits::hinted_nodes);
    return nearest;
}

void Hinter::tell(const Work& work) {
    std::map<NodeId, proto::Hint> hints;
    for (const auto& item : work.items) {
        if (!ledger_.contains(item)) continue;
        for (const auto& node : to_be_told(item))
            if (!work.only || node == *work.only) hints[node].items.push_back(item);
    }
    for (auto& [node, hint] : hints)
        if (const auto peer = peers_.find(node)) peer->notify(std::move(hint));
}

void Hinter::tell_all_again() {
    const auto now = services_.runtime.now();
    hints_.expire(now);
    next_round_ = now + Duration(round_period);
    work_.push_back({std::nullopt, ledger_.items_of_part(0, 1)});
}

asio::awaitable<void> Hinter::run() {
    next_round_ = services_.runtime.now() + Duration(round_period);
    while (!tasks_.stopping()) {
        if (services_.runtime.now() >= next_round_) tell_all_again();
        if (work_.empty()) {
            const auto wake = std::min(next_round_, services_.runtime.now() + Duration(tick));
            co_await changed_.wait_until(wake);
            continue;
        }
        // In steps, so that a large store holds up nobody else on this thread.
        Work& first = work_.front();
        Work step{first.only, {}};
        const auto count = std::min(first.items.size(), items_per_step);
        step.items.assign(first.items.end() - static_cast<std::ptrdiff_t>(count),
                          first.items.end());
        first.items.resize(first.items.size() - count);
        if (first.items.empty()) work_.pop_front();
        tell(step);
        const bool go_on = co_await tasks_.sleep_for(step_pause);
        if (!go_on) co_return;
    }
}

}  // namespace flow29::node
