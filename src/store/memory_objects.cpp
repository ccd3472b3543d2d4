// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>
#include <flow29/link.hpp>

#include "store/cost.hpp"
#include "store/memory_store.hpp"

#include <algorithm>
#include <unordered_set>

namespace flow29::store {
namespace {

tl::unexpected<Error> fail_unknown(const RootHash& root) {
    return fail(Errc::not_found, "object " + to_base32(root) + " is not here");
}

ByteCount cost_of_object(const core::Descriptor& descriptor, std::string_view name) {
    return cost::of_object(descriptor.encode().size(), descriptor.extents.size(), name.size());
}

bool holds_at(const proto::Lease& lease, WallTime now) {
    return !lease.withdrawn && lease.expires > now;
}

}  // namespace

Result<void> MemoryStore::put_object(const RootHash& root, const core::Descriptor& descriptor,
                                     std::string_view name) {
    if (descriptor.root() != root)
        return fail(Errc::verification_failed, "the descriptor is not that of " + to_hex(root));
    const std::lock_guard lock(mutex_);
    const auto known = objects_.find(root);
    const bool is_new = known == objects_.end();
    if (!is_new && (name.empty() || !known->second.info.name.empty())) return {};

    const ByteCount cost = cost_of_object(descriptor, name);
    auto charge =
        ledger_->charge_change(is_new ? ByteCount(0) : known->second.cost, cost, Purpose::content);
    if (!charge) return fail(std::move(charge.error()));
    charge->keep();
    if (!is_new) {
        known->second.info.name = name;
        known->second.cost = cost;
        return {};
    }

    Object object{{.root = root,
                   .descriptor = descriptor,
                   .name = std::string(name),
                   .added = options_.clock()},
                  next_number_++,
                  cost};
    for (const ExtentHash& extent : descriptor.extents) {
        auto& members = members_[extent];
        if (members.empty() || members.back().root != root) members.push_back({root, 0});
        ++members.back().times;
        if (extents_.contains(extent)) ++object.info.extents_held;
    }
    objects_.emplace(root, std::move(object));
    ledger_->count_objects(1);
    return {};
}

Result<core::Descriptor> MemoryStore::descriptor(const RootHash& root) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(root);
    if (found == objects_.end()) return fail_unknown(root);
    return found->second.info.descriptor;
}

Result<ObjectInfo> MemoryStore::object(const RootHash& root) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(root);
    if (found == objects_.end()) return fail_unknown(root);
    return found->second.info;
}

std::vector<ObjectInfo> MemoryStore::objects() {
    const std::lock_guard lock(mutex_);
    std::vector<const Object*> ordered;
    ordered.reserve(objects_.size());
    for (const auto& [root, object] : objects_)
        ordered.push_back(&object);
    std::ranges::sort(ordered, {}, &Object::number);
    std::vector<ObjectInfo> infos;
    infos.reserve(ordered.size());
    for (const Object* object : ordered)
        infos.push_back(object->info);
    return infos;
}

Result<std::vector<RootHash>> MemoryStore::roots() {
    std::vector<RootHash> roots;
    for (const ObjectInfo& info : objects())
        roots.push_back(info.root);
    return roots;
}

std::vector<RootHash> MemoryStore::roots_of(const ExtentHash& extent) {
    const std::lock_guard lock(mutex_);
    std::vector<RootHash> roots;
    const auto found = members_.find(extent);
    if (found == members_.end()) return roots;
    for (const Membership& member : found->second)
        roots.push_back(member.root);
    return roots;
}

std::vector<RootHash> MemoryStore::fetched() {
    const std::lock_guard lock(mutex_);
    std::vector<RootHash> roots;
    for (const auto& [root, object] : objects_)
        if (object.info.extents_held > 0 && !object.info.published && !object.info.pinned &&
            !leases_.contains(root))
            roots.push_back(root);
    return roots;
}

Result<void> MemoryStore::set_published(const RootHash& root, bool published) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(root);
    if (found == objects_.end()) return fail_unknown(root);
    found->second.info.published = published;
    return {};
}

Result<void> MemoryStore::set_pinned(const RootHash& root, bool pinned) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(root);
    if (found == objects_.end()) return fail_unknown(root);
    found->second.info.pinned = pinned;
    return {};
}

Result<bool> MemoryStore::put_lease(const proto::Lease& lease) {
    const std::lock_guard lock(mutex_);
    const auto known = leases_.find(lease.root);
    if (known != leases_.end()) {
        for (KnownLease& old : known->second) {
            if (old.lease.publisher != lease.publisher) continue;
            if (old.lease.sequence >= lease.sequence) return false;
            // One that was over is as good as a new one, so whoever asks now is charged.
            const bool goes_on = !old.lease.withdrawn && !lease.withdrawn;
            old = {lease, std::max(old.remembered_until, lease.expires),
                   goes_on ? old.asker : std::nullopt};
            return true;
        }
        if (known->second.size() >= limits::leases_per_root_max)
            return fail(Errc::refused, "too many publishers lease " + to_hex(lease.root));
    }
    auto charge = ledger_->charge(ByteCount(cost::lease_row), Purpose::bookkeeping);
    if (!charge) return fail(std::move(charge.error()));
    charge->keep();
    leases_[lease.root].push_back({lease, lease.expires, std::nullopt});
    return true;
}

Result<void> MemoryStore::set_renewal(const RootHash& root, std::chrono::milliseconds renewal) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(root);
    if (found == objects_.end()) return fail_unknown(root);
    found->second.info.renewal = renewal;
    return {};
}

Result<void> MemoryStore::set_asker(const RootHash& root, const PublicKey& publisher,
                                    const core::AddressGroup& asker) {
    const std::lock_guard lock(mutex_);
    if (const auto known = leases_.find(root); known != leases_.end())
        for (KnownLease& lease : known->second) {
            if (lease.lease.publisher != publisher) continue;
            if (!lease.asker) lease.asker = asker;
            return {};
        }
    return fail(Errc::not_found, "there is no such lease");
}

ByteCount MemoryStore::used_by(const PublicKey& publisher, WallTime now) {
    const std::lock_guard lock(mutex_);
    return used_under(
        [&publisher](const KnownLease& lease) { return lease.lease.publisher == publisher; }, now);
}

ByteCount MemoryStore::used_by(const core::AddressGroup& asker, WallTime now) {
    const std::lock_guard lock(mutex_);
    return used_under([&asker](const KnownLease& lease) { return lease.asker == asker; }, now);
}

ByteCount MemoryStore::used_under(const std::function<bool(const KnownLease& lease)>& charged,
                                  WallTime now) const {
    ByteCount used;
    std::unordered_set<ExtentHash> counted;
    for (const auto& [root, leases] : leases_) {
        const auto live = std::ranges::count_if(leases, [&](const KnownLease& lease) {
            return holds_at(lease.lease, now) && charged(lease);
        });
        if (live == 0) continue;
        used += ByteCount(static_cast<std::uint64_t>(live) * cost::lease_row);
        const auto object = objects_.find(root);
        if (object == objects_.end()) continue;
        used += object->second.cost;
        for (const ExtentHash& hash : object->second.info.descriptor.extents) {
            const auto extent = extents_.find(hash);
            if (extent != extents_.end() && counted.insert(hash).second)
                used += cost_of(*extent->second);
        }
    }
    return used;
}

Result<void> MemoryStore::release(const RootHash& root) {
    const std::lock_guard lock(mutex_);
    if (const auto known = leases_.find(root); known != leases_.end()) {
        const auto dropped = std::erase_if(
            known->second, [](const KnownLease& lease) { return !lease.lease.withdrawn; });
        ledger_->refund(ByteCount(dropped * cost::lease_row));
        if (known->second.empty()) leases_.erase(known);
    }
    if (const auto found = objects_.find(root); found != objects_.end()) {
        found->second.info.published = false;
        found->second.info.pinned = false;
    }
    return {};
}

std::vector<proto::Lease> MemoryStore::leases(const RootHash& root) {
    const std::lock_guard lock(mutex_);
    std::vector<proto::Lease> found;
    const auto known = leases_.find(root);
    if (known == leases_.end()) return found;
    for (const KnownLease& lease : known->second)
        found.push_back(lease.lease);
    std::ranges::sort(found, {}, &proto::Lease::publisher);
    return found;
}

std::vector<proto::Lease> MemoryStore::withdrawals(std::size_t count_max) {
    const std::lock_guard lock(mutex_);
    std::vector<proto::Lease> found;
    for (const auto& [root, known] : leases_)
        for (const KnownLease& lease : known)
            if (lease.lease.withdrawn) found.push_back(lease.lease);
    std::ranges::sort(found, {}, &proto::Lease::root);
    if (found.size() > count_max) found.resize(count_max);
    return found;
}

bool MemoryStore::kept(const Object& object, WallTime now) const {
    if (object.info.published || object.info.pinned) return true;
    const auto known = leases_.find(object.info.root);
    return known != leases_.end() &&
           std::ranges::any_of(known->second, [&](const KnownLease& known_lease) {
               return holds_at(known_lease.lease, now);
           });
}

Result<ByteCount> MemoryStore::collect(WallTime now,
                                       const std::unordered_set<ExtentHash>& awaited) {
    const std::lock_guard lock(mutex_);
    ByteCount freed = collect_extents(now, awaited);
    freed += collect_leases(now);
    freed += collect_objects(now);
    return freed;
}

ByteCount MemoryStore::collect_extents(WallTime now,
                                       const std::unordered_set<ExtentHash>& awaited) {
    std::vector<Extent> doomed;
    for (const auto& [hash, extent] : extents_) {
        const auto members = members_.find(hash);
        const bool wanted = members != members_.end() &&
                            std::ranges::any_of(members->second, [&](const Membership& member) {
                                return kept(objects_.at(member.root), now);
                            });
        if (!wanted && !awaited.contains(hash)) doomed.push_back(extent);
    }
    ByteCount freed;
    for (const Extent& extent : doomed) {
        freed += remove(extent);
        freed += forget_item(proto::ItemId::of(extent->hash));
    }
    return freed;
}

Result<ByteCount> MemoryStore::drop_extent(const ExtentHash& hash) {
    const std::lock_guard lock(mutex_);
    const auto found = extents_.find(hash);
    if (found == extents_.end()) return ByteCount(0);
    const auto members = members_.find(hash);
    const bool marked = members != members_.end() &&
                        std::ranges::any_of(members->second, [&](const Membership& member) {
                            const auto& info = objects_.at(member.root).info;
                            return info.published || info.pinned;
                        });
    if (marked) return ByteCount(0);
    return remove(Extent(found->second)) + forget_item(proto::ItemId::of(hash));
}

ByteCount MemoryStore::collect_leases(WallTime now) {
    std::uint64_t forgotten = 0;
    const WallTime past = now - limits::lease_clock_tolerance;
    for (auto entry = leases_.begin(); entry != leases_.end();) {
        forgotten += std::erase_if(
            entry->second, [&](const KnownLease& lease) { return lease.remembered_until <= past; });
        entry = entry->second.empty() ? leases_.erase(entry) : std::next(entry);
    }
    const ByteCount freed(forgotten * cost::lease_row);
    ledger_->refund(freed);
    return freed;
}

ByteCount MemoryStore::collect_objects(WallTime now) {
    ByteCount freed;
    for (auto entry = objects_.begin(); entry != objects_.end();) {
        const Object& object = entry->second;
        if (object.info.extents_held != 0 || kept(object, now)) {
            ++entry;
            continue;
        }
        const RootHash root = object.info.root;
        for (const ExtentHash& extent : object.info.descriptor.extents) {
            const auto members = members_.find(extent);
            if (members == members_.end()) continue;  // it was there twice
            std::erase_if(members->second,
                          [&](const Membership& member) { return member.root == root; });
            if (members->second.empty()) members_.erase(members);
        }
        ledger_->refund(object.cost);
        ledger_->count_objects(-1);
        freed += object.cost + forget_item(proto::ItemId::of(root));
        entry = objects_.erase(entry);
    }
    return freed;
}

ByteCount MemoryStore::forget_item(const proto::ItemId& item) {
    const auto known = holders_.find(item);
    if (known == holders_.end()) return ByteCount(0);
    const ByteCount freed(known->second.size() * cost::holder_row);
    holders_.erase(known);
    ledger_->refund(freed);
    return freed;
}

}  // namespace flow29::store
