// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/memory_store.hpp"

#include "core/assert.hpp"
#include "core/clock.hpp"
#include "core/layout.hpp"
#include "core/size_text.hpp"
#include "store/cost.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace flow29::store {
namespace {

StoredExtent stored(NewExtent extent) {
    extent.join();
    const ByteCount length = extent.length();
    FLOW29_ASSERT(length.value > 0 && length.value <= limits::extent_bytes_max);
    return {.hash = extent.hash,
            .length = length,
            .place = Place::inside,
            .data = std::move(extent.data),
            .tree = core::GroupTree(std::move(extent.group_hashes), core::chunks_in(length),
                                    limits::hash_group_level)};
}

StoredExtent stored(ExtentReference extent) {
    FLOW29_ASSERT(extent.file.is_absolute());
    FLOW29_ASSERT(extent.checksums.size() == checksum_blocks(extent.length));
    return {.hash = extent.hash,
            .length = extent.length,
            .place = Place::reference,
            .file = std::move(extent.file),
            .offset = extent.offset,
            .tree = core::GroupTree(std::move(extent.group_hashes), core::chunks_in(extent.length),
                                    limits::hash_group_level),
            .checksums = std::move(extent.checksums)};
}

tl::unexpected<Error> fail_unknown(const ExtentHash& hash) {
    return fail(Errc::not_found, "extent " + to_hex(hash) + " is not here");
}

}  // namespace

std::shared_ptr<const StoredExtent> ExtentPool::share(StoredExtent extent) {
    const std::lock_guard lock(mutex_);
    if (extents_.size() >= 2 * swept_size_) {
        std::erase_if(extents_, [](const auto& entry) { return entry.second.expired(); });
        swept_size_ = std::max<std::size_t>(extents_.size(), 64);
    }
    std::weak_ptr<const StoredExtent>& known = extents_[extent.hash];
    if (auto shared = known.lock()) return shared;
    auto made = std::make_shared<const StoredExtent>(std::move(extent));
    known = made;
    return made;
}

MemoryStore::MemoryStore(ByteCount capacity, MemoryStoreOptions options)
    : ledger_(std::make_shared<Ledger>(capacity)), options_(std::move(options)) {
    if (!options_.pool) options_.pool = make_extent_pool();
    if (!options_.clock) options_.clock = core::wall_now;
}

ByteCount MemoryStore::cost_of(const StoredExtent& extent) {
    if (extent.place == Place::reference)
        return cost::of_reference(extent.length, extent.file.native().size());
    return cost::of_extent(extent.length);
}

Result<std::unique_ptr<Reservation>> MemoryStore::reserve(ByteCount bytes) {
    // Before anything is added to it, as it may come from a peer.
    if (bytes > ledger_->usage().capacity)
        return fail(Errc::no_space, fmt::format("no room for {} at all", core::size_text(bytes)));
    auto room = ledger_->reserve(cost::of_content(bytes));
    if (!room) return fail(std::move(room.error()));
    return std::unique_ptr<Reservation>(std::move(*room));
}

Result<std::unique_ptr<Reservation>> MemoryStore::reserve_for(
    const std::vector<proto::Invite::Item>& items) {
    auto room = ledger_->reserve(cost::of_invitation(items));
    if (!room) return fail(std::move(room.error()));
    return std::unique_ptr<Reservation>(std::move(*room));
}

void MemoryStore::add(Extent extent) {
    const ExtentHash hash = extent->hash;
    extents_.emplace(hash, std::move(extent));
    ledger_->count_extents(1);
    const auto members = members_.find(hash);
    if (members == members_.end()) return;
    for (const Membership& member : members->second)
        objects_.at(member.root).info.extents_held += member.times;
}

ByteCount MemoryStore::remove(const Extent& extent) {
    const ByteCount cost = cost_of(*extent);
    ledger_->refund(cost);
    ledger_->count_extents(-1);
    if (const auto members = members_.find(extent->hash); members != members_.end()) {
        for (const Membership& member : members->second)
            objects_.at(member.root).info.extents_held -= member.times;
    }
    extents_.erase(extent->hash);
    return cost;
}

Result<void> MemoryStore::put_extents(std::vector<NewExtent> extents, Reservation* room) {
    const std::lock_guard lock(mutex_);
    std::unordered_map<ExtentHash, StoredExtent> fresh;
    ByteCount cost;
    for (NewExtent& extent : extents) {
        const auto held = extents_.find(extent.hash);
        const bool owned = held != extents_.end() && held->second->place != Place::reference;
        if (owned || fresh.contains(extent.hash)) continue;
        StoredExtent made = stored(std::move(extent));
        cost += cost_of(made);
        fresh.emplace(made.hash, std::move(made));
    }
    // Reservations come from reserve() and nowhere else.
    auto charge = ledger_->charge(cost, Purpose::content, static_cast<Room*>(room));
    if (!charge) return fail(std::move(charge.error()));
    charge->keep();
    for (auto& [hash, extent] : fresh) {
        if (const auto reference = extents_.find(hash); reference != extents_.end())
            remove(Extent(reference->second));
        add(options_.pool->share(std::move(extent)));
    }
    return {};
}

Result<void> MemoryStore::put_references(std::vector<ExtentReference> extents) {
    const std::lock_guard lock(mutex_);
    std::unordered_map<ExtentHash, StoredExtent> fresh;
    ByteCount cost;
    for (ExtentReference& extent : extents) {
        if (extents_.contains(extent.hash) || fresh.contains(extent.hash)) continue;
        StoredExtent made = stored(std::move(extent));
        cost += cost_of(made);
        fresh.emplace(made.hash, std::move(made));
    }
    auto charge = ledger_->charge(cost, Purpose::content);
    if (!charge) return fail(std::move(charge.error()));
    charge->keep();
    for (auto& [hash, extent] : fresh)
        add(std::make_shared<const StoredExtent>(std::move(extent)));
    return {};
}

MemoryStore::Extent MemoryStore::find(const ExtentHash& hash) {
    const std::lock_guard lock(mutex_);
    const auto found = extents_.find(hash);
    return found == extents_.end() ? nullptr : found->second;
}

bool MemoryStore::has_extent(const ExtentHash& extent) {
    return find(extent) != nullptr;
}

bool MemoryStore::owns_extent(const ExtentHash& extent) {
    const auto found = find(extent);
    return found != nullptr && found->place != Place::reference;
}

Result<ByteCount> MemoryStore::extent_length(const ExtentHash& hash) {
    const Extent extent = find(hash);
    if (!extent) return fail_unknown(hash);
    return extent->length;
}

Error MemoryStore::drop(const Extent& extent, const Error& damage) {
    const std::lock_guard lock(mutex_);
    const auto present = extents_.find(extent->hash);
    const std::string name = "extent " + to_hex(extent->hash);
    if (present == extents_.end() || present->second != extent)
        return {Errc::not_found, name + " was removed meanwhile"};
    remove(extent);
    return {Errc::corrupt_store, name + " is damaged: " + damage.message()};
}

Result<ExtentSlice> MemoryStore::read(const ExtentHash& hash, ChunkRange chunks) {
    const Extent extent = find(hash);
    if (!extent) return fail_unknown(hash);
    auto slice = read_slice(*extent, chunks);
    if (slice || slice.error().code != Errc::corrupt_store) return slice;
    return fail(drop(extent, slice.error()));
}

Result<void> MemoryStore::scrub(const ExtentHash& hash) {
    const Extent extent = find(hash);
    if (!extent) return fail_unknown(hash);
    auto sound = rehash(*extent);
    if (sound || sound.error().code != Errc::corrupt_store) return sound;
    return fail(drop(extent, sound.error()));
}

std::optional<std::filesystem::path> MemoryStore::file_of(const ExtentHash& extent) {
    const std::lock_guard lock(mutex_);
    const auto found = extents_.find(extent);
    if (found == extents_.end() || found->second->place != Place::reference) return std::nullopt;
    return found->second->file;
}

Result<std::vector<HeldExtent>> MemoryStore::extents_after(const std::optional<ExtentHash>& after,
                                                           std::size_t count_max) {
    std::vector<HeldExtent> found;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [hash, extent] : extents_)
            if (!after || hash > *after) found.push_back({hash, extent->length});
    }
    std::ranges::sort(found, {}, &HeldExtent::hash);
    if (found.size() > count_max) found.resize(count_max);
    return found;
}

std::shared_ptr<ExtentPool> make_extent_pool() {
    return std::make_shared<ExtentPool>();
}

std::unique_ptr<Store> make_memory_store(ByteCount capacity, MemoryStoreOptions options) {
    return std::make_unique<MemoryStore>(capacity, std::move(options));
}

}  // namespace flow29::store
