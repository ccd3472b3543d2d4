// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>

#include "store/cost.hpp"
#include "store/memory_store.hpp"

#include <algorithm>

namespace flow29::store {

Result<void> MemoryStore::add_holders(std::vector<KnownHolder> holders) {
    const std::lock_guard lock(mutex_);
    auto charge =
        ledger_->charge(ByteCount(holders.size() * cost::holder_row), Purpose::bookkeeping);
    if (!charge) return fail(std::move(charge.error()));
    std::uint64_t added = 0;
    for (const KnownHolder& holder : holders) {
        std::vector<NodeId>& nodes = holders_[holder.item];
        const auto place = std::ranges::lower_bound(nodes, holder.node);
        if (place != nodes.end() && *place == holder.node) continue;
        if (nodes.size() >= limits::holders_per_item_max) continue;
        nodes.insert(place, holder.node);
        ++added;
    }
    charge->keep(ByteCount(added * cost::holder_row));
    return {};
}

Result<void> MemoryStore::remove_holders(const std::vector<KnownHolder>& holders) {
    const std::lock_guard lock(mutex_);
    std::uint64_t removed = 0;
    for (const KnownHolder& holder : holders) {
        const auto known = holders_.find(holder.item);
        if (known == holders_.end()) continue;
        removed += std::erase(known->second, holder.node);
        if (known->second.empty()) holders_.erase(known);
    }
    ledger_->refund(ByteCount(removed * cost::holder_row));
    return {};
}

std::vector<KnownHolder> MemoryStore::holders(const std::vector<proto::ItemId>& items) {
    const std::lock_guard lock(mutex_);
    std::vector<KnownHolder> found;
    for (const proto::ItemId& item : items) {
        const auto known = holders_.find(item);
        if (known == holders_.end()) continue;
        for (const NodeId& node : known->second)
            found.push_back({item, node});
    }
    return found;
}

Result<void> MemoryStore::put_node_record(const proto::NodeRecord& record) {
    const std::lock_guard lock(mutex_);
    const NodeId node = record.node();
    const auto known = nodes_.find(node);
    const bool replaces = known != nodes_.end();
    if (replaces && known->second.record.sequence > record.sequence) return {};

    const ByteCount cost(cost::node_record_row + record.encode().size());
    auto charge = ledger_->charge_change(replaces ? known->second.cost : ByteCount(0), cost,
                                         Purpose::bookkeeping);
    if (!charge) return fail(std::move(charge.error()));
    charge->keep();
    nodes_.insert_or_assign(node, KnownNode{record, next_number_++, cost});
    trim_node_records();
    return {};
}

void MemoryStore::trim_node_records() {
    while (nodes_.size() > limits::node_records_max) {
        const auto oldest = std::ranges::min_element(
            nodes_, {}, [](const auto& entry) { return entry.second.seen; });
        ledger_->refund(oldest->second.cost);
        nodes_.erase(oldest);
    }
}

std::optional<proto::NodeRecord> MemoryStore::node_record(const NodeId& node) {
    const std::lock_guard lock(mutex_);
    const auto known = nodes_.find(node);
    if (known == nodes_.end()) return std::nullopt;
    return known->second.record;
}

std::vector<proto::NodeRecord> MemoryStore::node_records(std::size_t count_max) {
    const std::lock_guard lock(mutex_);
    std::vector<const KnownNode*> ordered;
    ordered.reserve(nodes_.size());
    for (const auto& [node, known] : nodes_)
        ordered.push_back(&known);
    std::ranges::sort(ordered, std::ranges::greater{}, &KnownNode::seen);
    ordered.resize(std::min(ordered.size(), count_max));
    std::vector<proto::NodeRecord> records;
    records.reserve(ordered.size());
    for (const KnownNode* known : ordered)
        records.push_back(known->record);
    return records;
}

core::RangeSet MemoryStore::fetch_progress(const RootHash& root,
                                           const std::filesystem::path& partial) {
    const std::lock_guard lock(mutex_);
    const auto known = fetches_.find({root, partial.native()});
    return known == fetches_.end() ? core::RangeSet() : known->second;
}

Result<void> MemoryStore::set_fetch_progress(const RootHash& root,
                                             const std::filesystem::path& partial,
                                             const core::RangeSet& verified) {
    const std::lock_guard lock(mutex_);
    FetchKey key{root, partial.native()};
    const auto cost_with = [&](const core::RangeSet& set) {
        return cost::of_fetch(key.second.size(), set.intervals().size());
    };
    const auto known = fetches_.find(key);
    const ByteCount before = known == fetches_.end() ? ByteCount(0) : cost_with(known->second);
    auto charge = ledger_->charge_change(before, cost_with(verified), Purpose::bookkeeping);
    if (!charge) return fail(std::move(charge.error()));
    charge->keep();
    fetches_.insert_or_assign(std::move(key), verified);
    return {};
}

Result<void> MemoryStore::end_fetch(const RootHash& root, const std::filesystem::path& partial) {
    const std::lock_guard lock(mutex_);
    const auto known = fetches_.find({root, partial.native()});
    if (known == fetches_.end()) return {};
    ledger_->refund(cost::of_fetch(partial.native().size(), known->second.intervals().size()));
    fetches_.erase(known);
    return {};
}

std::optional<Bytes> MemoryStore::setting(std::string_view key) {
    const std::lock_guard lock(mutex_);
    const auto known = settings_.find(key);
    if (known == settings_.end()) return std::nullopt;
    return known->second;
}

Result<void> MemoryStore::set_setting(std::string_view key, ByteView value) {
    const std::lock_guard lock(mutex_);
    const auto known = settings_.find(key);
    ByteCount before;
    if (known != settings_.end()) before = cost::of_setting(key.size(), known->second.size());
    auto charge = ledger_->charge_change(before, cost::of_setting(key.size(), value.size()),
                                         Purpose::bookkeeping);
    if (!charge) return fail(std::move(charge.error()));
    charge->keep();
    settings_.insert_or_assign(std::string(key), Bytes(value.begin(), value.end()));
    return {};
}

}  // namespace flow29::store
