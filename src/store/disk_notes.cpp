// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>

#include "core/log.hpp"
#include "store/cost.hpp"
#include "store/disk_store.hpp"

namespace flow29::store {
namespace {

/// What a reader without an error to give answers with, after saying why.
template <class T>
T or_nothing(Result<T> result) {
    if (result) return std::move(*result);
    core::log::error("store", "{}", result.error().message());
    return T{};
}

}  // namespace

Result<void> DiskStore::add_holders(std::vector<KnownHolder> holders) {
    const std::lock_guard lock(mutex_);
    auto charge =
        ledger_->charge(ByteCount(holders.size() * cost::holder_row), Purpose::bookkeeping);
    if (!charge) return fail(std::move(charge.error()));
    auto transaction = Transaction::begin(database_);
    if (!transaction) return fail(std::move(transaction.error()));
    auto added = notes_.add_holders(holders);
    if (!added) return fail(std::move(added.error()));
    if (*added == 0) return {};
    if (auto done = transaction->commit(); !done) return done;
    charge->keep(ByteCount(*added * cost::holder_row));
    return {};
}

Result<void> DiskStore::remove_holders(const std::vector<KnownHolder>& holders) {
    const std::lock_guard lock(mutex_);
    auto transaction = Transaction::begin(database_);
    if (!transaction) return fail(std::move(transaction.error()));
    std::uint64_t removed = 0;
    for (const KnownHolder& holder : holders) {
        auto rows = notes_.remove_holder(holder.item, holder.node);
        if (!rows) return fail(std::move(rows.error()));
        removed += *rows;
    }
    if (auto done = transaction->commit(); !done) return done;
    ledger_->refund(ByteCount(removed * cost::holder_row));
    return {};
}

std::vector<KnownHolder> DiskStore::holders(const std::vector<proto::ItemId>& items) {
    const std::lock_guard lock(mutex_);
    std::vector<KnownHolder> found;
    for (const proto::ItemId& item : items) {
        for (const NodeId& node : or_nothing(notes_.holders(item)))
            found.push_back({item, node});
    }
    return found;
}

Result<void> DiskStore::put_node_record(const proto::NodeRecord& record) {
    const std::lock_guard lock(mutex_);
    auto known = notes_.node_record(record.node());
    // A damaged one is replaced like an older one, at no other cost than its own.
    if (!known && known.error().code != Errc::corrupt_store) return fail(std::move(known.error()));
    const bool replaces = known && *known;
    if (replaces && (*known)->is_of(swarm_) && (*known)->record.sequence > record.sequence)
        return {};

    const ByteCount cost(cost::node_record_row + record.encode().size());
    auto charge = ledger_->charge_change(replaces ? (*known)->cost : ByteCount(0), cost,
                                         Purpose::bookkeeping);
    if (!charge) return fail(std::move(charge.error()));
    auto transaction = Transaction::begin(database_);
    if (!transaction) return fail(std::move(transaction.error()));
    const ByteView swarm = swarm_.view();
    if (auto put = notes_.put_node_record({record, cost, {swarm.begin(), swarm.end()}}); !put)
        return put;
    auto trimmed = notes_.trim_node_records(limits::node_records_max);
    if (!trimmed) return fail(std::move(trimmed.error()));
    if (auto done = transaction->commit(); !done) return done;
    charge->keep();
    ledger_->refund(*trimmed);
    return {};
}

std::optional<proto::NodeRecord> DiskStore::node_record(const NodeId& node) {
    const std::lock_guard lock(mutex_);
    auto known = or_nothing(notes_.node_record(node));
    if (!known || !known->is_of(swarm_)) return std::nullopt;
    return std::move(known->record);
}

std::vector<proto::NodeRecord> DiskStore::node_records(std::size_t count_max) {
    const std::lock_guard lock(mutex_);
    std::vector<proto::NodeRecord> records;
    for (auto& known : or_nothing(notes_.node_records(swarm_, count_max)))
        records.push_back(std::move(known.record));
    return records;
}

core::RangeSet DiskStore::fetch_progress(const RootHash& root,
                                         const std::filesystem::path& partial) {
    const std::lock_guard lock(mutex_);
    return or_nothing(notes_.fetch_progress(root, partial));
}

Result<void> DiskStore::set_fetch_progress(const RootHash& root,
                                           const std::filesystem::path& partial,
                                           const core::RangeSet& verified) {
    const std::lock_guard lock(mutex_);
    auto before = notes_.fetch_cost(root, partial);
    if (!before) return fail(std::move(before.error()));
    const ByteCount cost = cost::of_fetch(partial.native().size(), verified.intervals().size());
    auto charge = ledger_->charge_change(*before, cost, Purpose::bookkeeping);
    if (!charge) return fail(std::move(charge.error()));
    if (auto done = notes_.set_fetch(root, partial, verified, cost); !done) return done;
    charge->keep();
    return {};
}

Result<void> DiskStore::end_fetch(const RootHash& root, const std::filesystem::path& partial) {
    const std::lock_guard lock(mutex_);
    auto cost = notes_.fetch_cost(root, partial);
    if (!cost) return fail(std::move(cost.error()));
    if (auto done = notes_.remove_fetch(root, partial); !done) return done;
    ledger_->refund(*cost);
    return {};
}

std::optional<Bytes> DiskStore::setting(std::string_view key) {
    const std::lock_guard lock(mutex_);
    return or_nothing(notes_.setting(key));
}

Result<void> DiskStore::set_setting(std::string_view key, ByteView value) {
    const std::lock_guard lock(mutex_);
    auto before = notes_.setting_cost(key);
    if (!before) return fail(std::move(before.error()));
    const ByteCount cost = cost::of_setting(key.size(), value.size());
    auto charge = ledger_->charge_change(*before, cost, Purpose::bookkeeping);
    if (!charge) return fail(std::move(charge.error()));
    if (auto done = notes_.set_setting(key, value, cost); !done) return done;
    charge->keep();
    return {};
}

}  // namespace flow29::store
