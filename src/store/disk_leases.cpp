// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>

#include "core/log.hpp"
#include "store/cost.hpp"
#include "store/disk_store.hpp"

#include <algorithm>
#include <map>

namespace flow29::store {
namespace {

template <class Id>
Party party_of(const Id& id) {
    return {id.bytes.begin(), id.bytes.end()};
}

}  // namespace

Result<bool> DiskStore::put_lease(const proto::Lease& lease) {
    const std::lock_guard lock(mutex_);
    auto known = leases_.of(lease.root);
    if (!known) return fail(std::move(known.error()));
    const auto old = std::ranges::find(*known, lease.publisher, &proto::Lease::publisher);
    const bool fresh = old == known->end();
    if (!fresh && old->sequence >= lease.sequence) return false;
    if (fresh && known->size() >= limits::leases_per_root_max)
        return fail(Errc::refused, "too many publishers lease " + to_hex(lease.root));

    auto remembered = leases_.remembered_until(lease.root, lease.publisher);
    if (!remembered) return fail(std::move(remembered.error()));
    auto charge = ledger_->charge(ByteCount(fresh ? cost::lease_row : 0), Purpose::bookkeeping);
    if (!charge) return fail(std::move(charge.error()));
    auto object = objects_.find(lease.root);
    const bool is_first = fresh && object && !*object && !lease.withdrawn;
    if (!is_first) forget_shares(lease.root);
    // One that was over is as good as a new one, so whoever asks now is charged.
    const bool goes_on = !fresh && !old->withdrawn && !lease.withdrawn;
    auto done = leases_.put(lease, std::max(*remembered, lease.expires), goes_on);
    if (!done) return fail(std::move(done.error()));
    charge->keep();
    const Party publisher = party_of(lease.publisher);
    if (is_first) {
        shares_.add(publisher, ByteCount(cost::lease_row), lease.expires);
        shares_.on_lease(publisher, lease.expires);
    } else {
        shares_.forget(publisher);
    }
    return true;
}

std::vector<proto::Lease> DiskStore::leases(const RootHash& root) {
    const std::lock_guard lock(mutex_);
    return leases_.of(root).value_or(std::vector<proto::Lease>());
}

std::vector<proto::Lease> DiskStore::withdrawals(std::size_t count_max) {
    const std::lock_guard lock(mutex_);
    return leases_.withdrawn(count_max).value_or(std::vector<proto::Lease>());
}

Result<void> DiskStore::set_asker(const RootHash& root, const PublicKey& publisher,
                                  const core::AddressGroup& asker) {
    const std::lock_guard lock(mutex_);
    auto known = leases_.set_asker(root, publisher, asker);
    if (!known) return fail(std::move(known.error()));
    if (!*known) return fail(Errc::not_found, "there is no such lease");
    auto object = objects_.find(root);
    auto charged = leases_.charged_for(root);
    if (!object || !charged || *object) {
        shares_.forget(party_of(asker));
        return {};
    }
    // Nothing of it is here: only its row counts, once it is under this asker.
    for (const auto& lease : *charged)
        if (lease.publisher == party_of(publisher) && lease.asker == party_of(asker)) {
            shares_.add(lease.asker, ByteCount(cost::lease_row), lease.expires);
            shares_.on_lease(lease.asker, lease.expires);
        }
    return {};
}

ByteCount DiskStore::used_by(const PublicKey& publisher, WallTime now) {
    const std::lock_guard lock(mutex_);
    if (const auto known = shares_.find(party_of(publisher), now)) return *known;
    const auto share = leases_.share_of(publisher, now);
    if (!share) {
        core::log::error("store", "{}", share.error().message());
        return ledger_->usage().capacity;  // rather nothing more than too much
    }
    shares_.put(party_of(publisher), *share);
    return share->used;
}

ByteCount DiskStore::used_by(const core::AddressGroup& asker, WallTime now) {
    const std::lock_guard lock(mutex_);
    if (const auto known = shares_.find(party_of(asker), now)) return *known;
    const auto share = leases_.share_of(asker, now);
    if (!share) {
        core::log::error("store", "{}", share.error().message());
        return ledger_->usage().capacity;
    }
    shares_.put(party_of(asker), *share);
    return share->used;
}

Result<void> DiskStore::release(const RootHash& root) {
    const std::lock_guard lock(mutex_);
    forget_shares(root);
    auto object = objects_.find(root);
    if (!object) return fail(std::move(object.error()));
    auto transaction = Transaction::begin(database_);
    if (!transaction) return fail(std::move(transaction.error()));
    auto dropped = leases_.drop(root);
    if (!dropped) return fail(std::move(dropped.error()));
    if (*object) {
        for (const Keep mark : {Keep::published, Keep::pinned})
            if (auto done = objects_.keep((*object)->id, mark, false); !done) return done;
    }
    if (auto done = transaction->commit(); !done) return done;
    ledger_->refund(ByteCount(*dropped * cost::lease_row));
    return {};
}

void DiskStore::charge_shares(const ExtentHash& extent, ByteCount cost, bool comes) {
    if (shares_.empty()) return;
    const auto charged = leases_.charged_for(extent);
    if (!charged) {
        core::log::error("store", "{}", charged.error().message());
        shares_ = Shares();
        return;
    }
    // Counted once for each party, as long as any of its leases keeps it.
    std::map<Party, WallTime> ends;
    for (const auto& lease : *charged)
        for (const Party& party : {lease.publisher, lease.asker})
            if (!party.empty()) ends[party] = std::max(ends[party], lease.expires);
    for (const auto& [party, expires] : ends) {
        if (comes)
            shares_.add(party, cost, expires);
        else
            shares_.subtract(party, cost, expires);
    }
}

void DiskStore::on_object_put(const RootHash& root, std::optional<ByteCount> cost) {
    if (shares_.empty()) return;
    const auto object = objects_.find(root);
    const auto charged = leases_.charged_for(root);
    const bool is_alone = cost && object && *object && (*object)->held == 0;
    if (!charged || !is_alone) return forget_shares(root);
    std::map<Party, WallTime> ends;
    for (const auto& lease : *charged)
        for (const Party& party : {lease.publisher, lease.asker})
            if (!party.empty()) ends[party] = std::max(ends[party], lease.expires);
    for (const auto& [party, expires] : ends)
        shares_.add(party, *cost, expires);
}

void DiskStore::forget_shares(const RootHash& root) {
    if (shares_.empty()) return;
    const auto charged = leases_.charged_for(root);
    if (!charged) {
        shares_ = Shares();
        return;
    }
    for (const auto& lease : *charged) {
        shares_.forget(lease.publisher);
        shares_.forget(lease.asker);
    }
}

}  // namespace flow29::store
