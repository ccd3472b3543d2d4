// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/link.hpp>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "store/cost.hpp"
#include "store/disk_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

namespace flow29::store {
namespace {

constexpr std::int64_t rows_per_transaction = 4096;
constexpr unsigned objects_per_transaction = 64;

ByteCount cost_of(const core::Descriptor& descriptor, std::string_view name) {
    return cost::of_object(descriptor.encode().size(), descriptor.extents.size(), name.size());
}

tl::unexpected<Error> fail_unknown(const RootHash& root) {
    return fail(Errc::not_found, "object " + to_base32(root) + " is not here");
}

}  // namespace

Result<void> DiskStore::put_object(const RootHash& root, const core::Descriptor& descriptor,
                                   std::string_view name) {
    if (descriptor.root() != root)
        return fail(Errc::verification_failed, "the descriptor is not that of " + to_hex(root));
    const std::lock_guard lock(mutex_);
    auto known = objects_.find(root);
    if (!known) return fail(std::move(known.error()));
    ObjectRow row{.root = root,
                  .name = std::string(name),
                  .added = core::wall_now(),
                  .cost = cost_of(descriptor, name)};
    if (*known) {
        const bool sound = objects_.descriptor(**known) == descriptor;
        const bool named = name.empty() || !(*known)->name.empty();
        if (sound && named) return {};
        if (named) row.name = (*known)->name;
        row.cost = cost_of(descriptor, row.name);
    }

    auto charge =
        ledger_->charge_change(*known ? (*known)->cost : ByteCount(0), row.cost, Purpose::content);
    if (!charge) return fail(std::move(charge.error()));
    auto transaction = Transaction::begin(database_);
    if (!transaction) return fail(std::move(transaction.error()));
    Result<void> done;
    if (!*known) {
        done = objects_.insert(row, descriptor);
    } else {
        done = objects_.rename((*known)->id, row.name, row.cost);
        if (done) done = objects_.replace_descriptor((*known)->id, descriptor.encode());
    }
    if (!done) return done;
    if (done = transaction->commit(); !done) return done;
    charge->keep();
    if (!*known) ledger_->count_objects(1);
    on_object_put(root, *known ? std::nullopt : std::optional(row.cost));
    return {};
}

Result<core::Descriptor> DiskStore::descriptor(const RootHash& root) {
    const std::lock_guard lock(mutex_);
    auto row = objects_.find(root);
    if (!row) return fail(std::move(row.error()));
    if (!*row) return fail_unknown(root);
    return objects_.descriptor(**row);
}

Result<ObjectInfo> DiskStore::info_of(const ObjectRow& row) {
    auto descriptor = objects_.descriptor(row);
    if (!descriptor) return fail(std::move(descriptor.error()));
    return ObjectInfo{.root = row.root,
                      .descriptor = std::move(*descriptor),
                      .name = row.name,
                      .published = row.published,
                      .pinned = row.pinned,
                      .renewal = row.renewal,
                      .added = row.added,
                      .extents_held = row.held};
}

Result<ObjectInfo> DiskStore::object(const RootHash& root) {
    const std::lock_guard lock(mutex_);
    auto row = objects_.find(root);
    if (!row) return fail(std::move(row.error()));
    if (!*row) return fail_unknown(root);
    return info_of(**row);
}

std::vector<ObjectInfo> DiskStore::objects() {
    const std::lock_guard lock(mutex_);
    std::vector<ObjectInfo> infos;
    auto rows = objects_.all();
    if (!rows) {
        core::log::error("store", "{}", rows.error().message());
        return infos;
    }
    for (const ObjectRow& row : *rows) {
        auto info = info_of(row);
        if (info)
            infos.push_back(std::move(*info));
        else
            core::log::error("store", "{}", info.error().message());
    }
    return infos;
}

Result<std::vector<RootHash>> DiskStore::roots() {
    const std::lock_guard lock(mutex_);
    auto rows = objects_.all();
    if (!rows) return fail(std::move(rows.error()));
    std::vector<RootHash> roots;
    for (const ObjectRow& row : *rows)
        roots.push_back(row.root);
    return roots;
}

std::vector<RootHash> DiskStore::roots_of(const ExtentHash& extent) {
    const std::lock_guard lock(mutex_);
    return objects_.roots_of(extent).value_or(std::vector<RootHash>());
}

std::vector<RootHash> DiskStore::fetched() {
    const std::lock_guard lock(mutex_);
    return objects_.fetched().value_or(std::vector<RootHash>());
}

Result<void> DiskStore::keep(const RootHash& root, Keep mark, bool value) {
    const std::lock_guard lock(mutex_);
    auto row = objects_.find(root);
    if (!row) return fail(std::move(row.error()));
    if (!*row) return fail_unknown(root);
    if ((mark == Keep::pinned ? (*row)->pinned : (*row)->published) == value) return {};
    return objects_.keep((*row)->id, mark, value);
}

Result<void> DiskStore::set_published(const RootHash& root, bool published) {
    return keep(root, Keep::published, published);
}

Result<void> DiskStore::set_pinned(const RootHash& root, bool pinned) {
    return keep(root, Keep::pinned, pinned);
}

Result<void> DiskStore::set_renewal(const RootHash& root, std::chrono::milliseconds renewal) {
    const std::lock_guard lock(mutex_);
    auto row = objects_.find(root);
    if (!row) return fail(std::move(row.error()));
    if (!*row) return fail_unknown(root);
    if ((*row)->renewal == renewal) return {};
    return objects_.set_renewal((*row)->id, renewal);
}

Result<ByteCount> DiskStore::collect(WallTime now, const std::unordered_set<ExtentHash>& awaited) {
    {
        const std::lock_guard lock(mutex_);
        note_damage();
    }
    auto freed = collect_all_extents(now, awaited);
    if (!freed) return freed;
    {
        const std::lock_guard lock(mutex_);
        auto forgotten = forget_leases(now);
        if (!forgotten) return forgotten;
        *freed += *forgotten;
    }
    for (;;) {
        const std::lock_guard lock(mutex_);
        auto part = collect_objects(now);
        if (!part) return fail(std::move(part.error()));
        if (!*part) break;
        *freed += **part;
    }
    shrink_catalogue();
    return freed;
}

// Gives free pages back to the file system; what cannot be is used again anyway.
void DiskStore::shrink_catalogue() {
    std::int64_t before = std::numeric_limits<std::int64_t>::max();
    for (;;) {
        const std::lock_guard lock(mutex_);
        const auto free_pages = database_.integer("PRAGMA freelist_count");
        if (!free_pages || *free_pages == 0 || *free_pages >= before) return;
        before = *free_pages;
        if (!database_.execute("PRAGMA incremental_vacuum(4096)")) return;
    }
}

// In parts, so that readers and writers get their turn and a full disk takes the deletion.
Result<ByteCount> DiskStore::collect_all_extents(WallTime now,
                                                 const std::unordered_set<ExtentHash>& awaited) {
    RowRange all;
    {
        const std::lock_guard lock(mutex_);
        auto rows = extents_.all_rows();
        if (!rows) return fail(std::move(rows.error()));
        all = *rows;
    }
    ByteCount freed;
    for (std::int64_t first = all.first; first < all.last; first += rows_per_transaction) {
        const std::lock_guard lock(mutex_);
        auto part = collect_extents({first, first + rows_per_transaction}, now, awaited);
        if (!part) return part;
        freed += *part;
    }
    return freed;
}

Result<ByteCount> DiskStore::collect_extents(RowRange rows, WallTime now,
                                             const std::unordered_set<ExtentHash>& awaited) {
    auto doomed = extents_.collectable(rows, now, now >= orphans_kept_until_);
    if (!doomed) return fail(std::move(doomed.error()));
    std::erase_if(*doomed, [&](const ExtentRow& row) { return awaited.contains(row.hash); });
    return remove_extents(*doomed);
}

Result<ByteCount> DiskStore::drop_extent(const ExtentHash& extent) {
    const std::lock_guard lock(mutex_);
    if (writing_.contains(extent)) return ByteCount(0);
    auto row = extents_.find(extent);
    if (!row) return fail(std::move(row.error()));
    if (!*row) return ByteCount(0);
    auto marked = extents_.is_marked(extent);
    if (!marked) return fail(std::move(marked.error()));
    if (*marked) return ByteCount(0);
    return remove_extents({**row});
}

Result<ByteCount> DiskStore::remove_extents(const std::vector<ExtentRow>& doomed) {
    if (doomed.empty()) return ByteCount(0);
    auto transaction = Transaction::begin(database_);
    if (!transaction) return fail(std::move(transaction.error()));
    ByteCount notes;
    ByteCount freed;
    for (const ExtentRow& row : doomed) {
        if (auto removed = extents_.remove(row.id); !removed)
            return fail(std::move(removed.error()));
        auto forgotten = forget_item(proto::ItemId::of(row.hash));
        if (!forgotten) return forgotten;
        notes += *forgotten;
        freed += row.cost;
    }
    if (auto done = transaction->commit(); !done) return fail(std::move(done.error()));
    for (const ExtentRow& row : doomed)
        forget(row);
    ledger_->refund(notes);
    return freed + notes;
}

Result<ByteCount> DiskStore::forget_item(const proto::ItemId& item) {
    auto removed = notes_.forget_item(item);
    if (!removed) return fail(std::move(removed.error()));
    return ByteCount(*removed * cost::holder_row);
}

Result<ByteCount> DiskStore::forget_leases(WallTime now) {
    auto forgotten = leases_.forget_before(now - limits::lease_clock_tolerance);
    if (!forgotten) return fail(std::move(forgotten.error()));
    const ByteCount freed(*forgotten * cost::lease_row);
    ledger_->refund(freed);
    return freed;
}

Result<std::optional<ByteCount>> DiskStore::collect_objects(WallTime now) {
    auto doomed = objects_.collectable(now, objects_per_transaction);
    if (!doomed) return fail(std::move(doomed.error()));
    if (doomed->empty()) return std::nullopt;
    auto transaction = Transaction::begin(database_);
    if (!transaction) return fail(std::move(transaction.error()));
    ByteCount freed;
    for (const ObjectRow& row : *doomed) {
        if (auto removed = objects_.remove(row.id); !removed)
            return fail(std::move(removed.error()));
        auto forgotten = forget_item(proto::ItemId::of(row.root));
        if (!forgotten) return fail(std::move(forgotten.error()));
        freed += row.cost + *forgotten;
    }
    if (auto done = transaction->commit(); !done) return fail(std::move(done.error()));
    ledger_->refund(freed);
    ledger_->count_objects(-static_cast<std::int64_t>(doomed->size()));
    return freed;
}

}  // namespace flow29::store
