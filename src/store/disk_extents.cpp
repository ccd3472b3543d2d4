// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assert.hpp"
#include "core/log.hpp"
#include "store/checksum.hpp"
#include "store/cost.hpp"
#include "store/disk_store.hpp"

#include <fmt/format.h>

#include <unordered_set>

namespace flow29::store {
namespace {

bool is_file(const NewExtent& extent) {
    return extent.length().value > cost::inside_bytes_max;
}

void check_shape(const NewExtent& extent) {
    FLOW29_ASSERT(!extent.data.empty());
    FLOW29_ASSERT(extent.length().value <= limits::extent_bytes_max);
    FLOW29_ASSERT(extent.group_hashes.size() == checksum_blocks(extent.length()));
    FLOW29_ASSERT(extent.checksums.empty() ||
                  extent.checksums.size() == extent.group_hashes.size());
}

void check_shape(const ExtentReference& extent) {
    FLOW29_ASSERT(extent.file.is_absolute());
    FLOW29_ASSERT(extent.length.value > 0);
    FLOW29_ASSERT(extent.length.value <= limits::extent_bytes_max);
    FLOW29_ASSERT(extent.group_hashes.size() == checksum_blocks(extent.length));
    FLOW29_ASSERT(extent.checksums.size() == checksum_blocks(extent.length));
}

std::vector<std::uint32_t> checksums_of(const NewExtent& extent) {
    if (!extent.checksums.empty()) return extent.checksums;
    auto checksums = block_checksums(extent.data.view());
    for (const core::Buffer& piece : extent.rest) {
        const auto more = block_checksums(piece.view());
        checksums.insert(checksums.end(), more.begin(), more.end());
    }
    return checksums;
}

ByteCount cost_of(const ExtentReference& extent) {
    return cost::of_reference(extent.length, extent.file.native().size());
}

tl::unexpected<Error> fail_unknown(const ExtentHash& hash) {
    return fail(Errc::not_found, "extent " + to_hex(hash) + " is not here");
}

}  // namespace

class DiskStore::Writing {
  public:
    // Requires store.mutex_.
    Writing(DiskStore& store, const std::vector<Arrival>& arrivals) : store_(store) {
        for (const Arrival& arrival : arrivals) {
            if (!is_file(*arrival.extent)) continue;
            hashes_.push_back(arrival.extent->hash);
            ++store_.writing_[arrival.extent->hash];
        }
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    // Must not have store.mutex_.
    ~Writing() {
        const std::lock_guard lock(store_.mutex_);
        for (const ExtentHash& hash : hashes_) {
            const auto writers = store_.writing_.find(hash);
            if (--writers->second != 0) continue;
            store_.writing_.erase(writers);
            // If the catalogue cannot say, the next start can.
            const auto row = store_.extents_.find(hash);
            if (row && !*row) store_.files_.remove(hash);
        }
    }

  private:
    DiskStore& store_;
    std::vector<ExtentHash> hashes_;
};

Result<std::vector<DiskStore::Arrival>> DiskStore::missing(const std::vector<NewExtent>& extents) {
    std::vector<Arrival> arrivals;
    std::unordered_set<ExtentHash> seen;
    for (const NewExtent& extent : extents) {
        if (!seen.insert(extent.hash).second) continue;
        auto row = extents_.find(extent.hash);
        if (!row) return fail(std::move(row.error()));
        if (!*row || (*row)->place == Place::reference) arrivals.push_back({&extent, {}});
    }
    return arrivals;
}

Result<DiskStore::Inserted> DiskStore::insert_missing(const std::vector<Arrival>& arrivals) {
    Inserted inserted;
    for (const auto& [extent, checksums] : arrivals) {
        auto known = extents_.find(extent->hash);
        if (!known) return fail(std::move(known.error()));
        if (*known && (*known)->place != Place::reference) continue;  // another thread was first
        if (*known) {
            if (auto gone = extents_.remove((*known)->id); !gone)
                return fail(std::move(gone.error()));
            inserted.replaced.push_back(**known);
        }
        const bool inside = !is_file(*extent);
        const ExtentRow row{.hash = extent->hash,
                            .length = extent->length(),
                            .place = inside ? Place::inside : Place::file,
                            .cost = cost::of_extent(extent->length())};
        ExtentContents contents{.group_hashes = extent->group_hashes, .checksums = checksums};
        if (inside) contents.data = extent->data.view();
        if (auto done = extents_.insert(row, contents); !done) return fail(std::move(done.error()));
        inserted.cost += row.cost;
        ++inserted.count;
        inserted.extents.emplace_back(row.hash, row.cost);
    }
    return inserted;
}

Result<DiskStore::Inserted> DiskStore::insert_missing(const std::vector<ExtentReference>& extents) {
    Inserted inserted;
    for (const ExtentReference& extent : extents) {
        auto known = extents_.find(extent.hash);
        if (!known) return fail(std::move(known.error()));
        if (*known) continue;
        const ExtentRow row{.hash = extent.hash,
                            .length = extent.length,
                            .place = Place::reference,
                            .cost = cost_of(extent)};
        const ExtentContents contents{.group_hashes = extent.group_hashes,
                                      .checksums = extent.checksums,
                                      .file = extent.file,
                                      .offset = extent.offset};
        if (auto done = extents_.insert(row, contents); !done) return fail(std::move(done.error()));
        inserted.cost += row.cost;
        ++inserted.count;
        inserted.extents.emplace_back(row.hash, row.cost);
    }
    return inserted;
}

template <class Extents>
Result<void> DiskStore::commit(const Extents& extents, Charge charge) {
    const std::lock_guard lock(mutex_);
    auto transaction = Transaction::begin(database_);
    if (!transaction) return fail(std::move(transaction.error()));
    auto inserted = insert_missing(extents);
    if (!inserted) return fail(std::move(inserted.error()));
    if (auto done = transaction->commit(); !done) return done;
    charge.keep(inserted->cost);
    ledger_->count_extents(inserted->count);
    for (const ExtentRow& row : inserted->replaced)
        forget(row);
    for (const auto& [hash, cost] : inserted->extents)
        charge_shares(hash, cost, true);
    return {};
}

Result<void> DiskStore::put_extents(std::vector<NewExtent> extents, Reservation* room) {
    for (NewExtent& extent : extents) {
        check_shape(extent);
        if (!is_file(extent)) extent.join();
    }
    std::vector<Arrival> arrivals;
    std::optional<Writing> writing;
    {
        const std::lock_guard lock(mutex_);
        auto found = missing(extents);
        if (!found) return fail(std::move(found.error()));
        arrivals = std::move(*found);
        writing.emplace(*this, arrivals);
    }
    if (arrivals.empty()) return {};

    ByteCount cost;
    std::vector<const NewExtent*> files;
    for (Arrival& arrival : arrivals) {
        cost += cost::of_extent(arrival.extent->length());
        if (is_file(*arrival.extent)) files.push_back(arrival.extent);
    }
    // Reservations come from reserve() and nowhere else.
    auto charge = ledger_->charge(cost, Purpose::content, static_cast<Room*>(room));
    if (!charge) return fail(std::move(charge.error()));
    if (auto fits = check_disk(cost); !fits) return fits;
    for (Arrival& arrival : arrivals)
        arrival.checksums = checksums_of(*arrival.extent);
    if (auto written = files_.write(files); !written) return written;
    return commit(arrivals, std::move(*charge));
}

Result<void> DiskStore::put_references(std::vector<ExtentReference> extents) {
    ByteCount cost;
    for (const ExtentReference& extent : extents) {
        check_shape(extent);
        cost += cost_of(extent);
    }
    auto charge = ledger_->charge(cost, Purpose::content);
    if (!charge) return fail(std::move(charge.error()));
    if (auto fits = check_disk(cost); !fits) return fits;
    return commit(extents, std::move(*charge));
}

bool DiskStore::has_extent(const ExtentHash& extent) {
    return extent_length(extent).has_value();
}

bool DiskStore::owns_extent(const ExtentHash& extent) {
    const std::lock_guard lock(mutex_);
    auto row = extents_.find(extent);
    return row && *row && (*row)->place != Place::reference;
}

std::optional<std::filesystem::path> DiskStore::file_of(const ExtentHash& extent) {
    const std::lock_guard lock(mutex_);
    const auto row = extents_.find(extent);
    if (!row || !*row || (*row)->place != Place::reference) return std::nullopt;
    auto loaded = extents_.load(**row);
    if (!loaded) return std::nullopt;
    return std::move(loaded->file);
}

Result<ByteCount> DiskStore::extent_length(const ExtentHash& extent) {
    if (const auto cached = cache_.find(extent)) return cached->length;
    const std::lock_guard lock(mutex_);
    auto row = extents_.find(extent);
    if (!row) return fail(std::move(row.error()));
    if (!*row) return fail_unknown(extent);
    return (*row)->length;
}

Result<std::vector<HeldExtent>> DiskStore::extents_after(const std::optional<ExtentHash>& after,
                                                         std::size_t count_max) {
    const std::lock_guard lock(mutex_);
    return extents_.after(after, count_max);
}

Result<std::shared_ptr<const StoredExtent>> DiskStore::load(const ExtentHash& hash) {
    std::int64_t id = 0;
    Error damage;
    {
        const std::lock_guard lock(mutex_);
        auto row = extents_.find(hash);
        if (!row) return fail(std::move(row.error()));
        if (!*row) return fail_unknown(hash);
        auto loaded = extents_.load(**row);
        if (loaded) {
            if (loaded->place == Place::file) loaded->file = files_.path_of(hash);
            return std::make_shared<const StoredExtent>(std::move(*loaded));
        }
        id = (*row)->id;
        damage = std::move(loaded.error());
    }
    if (damage.code != Errc::corrupt_store) return fail(std::move(damage));
    return fail(drop(hash, id, damage));
}

Error DiskStore::drop(const ExtentHash& hash, std::int64_t id, const Error& damage) {
    cache_.erase(hash);
    const std::string name = "extent " + to_hex(hash);
    const std::lock_guard lock(mutex_);
    auto row = extents_.find(hash);
    if (row && (!*row || (*row)->id != id))
        return {Errc::not_found, name + " was removed meanwhile"};
    Error error{Errc::corrupt_store, name + " is damaged: " + damage.message()};
    core::log::warn("store", "{}", error.context);
    // If the catalogue cannot be changed, the next reader meets the damage again.
    if (!row || !extents_.remove(id)) return error;
    forget(**row);
    return error;
}

// Requires that its row is gone for good.
void DiskStore::forget(const ExtentRow& row) {
    cache_.erase(row.hash);
    if (row.place == Place::file && !writing_.contains(row.hash)) files_.remove(row.hash);
    ledger_->refund(row.cost);
    ledger_->count_extents(-1);
    charge_shares(row.hash, row.cost, false);
}

Result<ExtentSlice> DiskStore::read(const ExtentHash& hash, ChunkRange chunks) {
    std::shared_ptr<const StoredExtent> extent = cache_.find(hash);
    if (!extent) {
        auto loaded = load(hash);
        if (!loaded) return fail(std::move(loaded.error()));
        extent = std::move(*loaded);
        // Not if it was removed meanwhile: nobody would remove it from the cache.
        const std::lock_guard lock(mutex_);
        auto row = extents_.find(hash);
        if (row && *row && (*row)->id == extent->id) cache_.insert(extent);
    }
    auto slice = read_slice(*extent, chunks);
    if (slice || slice.error().code != Errc::corrupt_store) return slice;
    return fail(drop(hash, extent->id, slice.error()));
}

Result<void> DiskStore::scrub(const ExtentHash& hash) {
    // Not from the cache: what is in memory has not been on the disk since.
    auto extent = load(hash);
    if (!extent) return fail(std::move(extent.error()));
    auto sound = rehash(**extent);
    if (sound || sound.error().code != Errc::corrupt_store) return sound;
    return fail(drop(hash, (*extent)->id, sound.error()));
}

}  // namespace flow29::store
