// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/disk_store.hpp"

#include "core/log.hpp"
#include "core/size_text.hpp"
#include "store/catalogue.hpp"
#include "store/cost.hpp"
#include "store/schema.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace flow29::store {
namespace {

// After the catalogue was made anew.
constexpr auto orphans_kept = std::chrono::hours(24);
constexpr ByteCount cache_footprint_max{16 * 1024 * 1024};

// What is left free on the disk so that deleting, which writes the catalogue first, still works.
constexpr std::uint64_t disk_reserve_bytes_max = 64 * 1024 * 1024;

struct CostQueries {
    const char* impossible;  // rows that cost more than there is, or less than nothing
    const char* sum;
};
constexpr std::array cost_queries = {
    CostQueries{"SELECT count(*) FROM extents WHERE cost NOT BETWEEN 0 AND 1 << 40",
                "SELECT total(cost) FROM extents"},
    CostQueries{"SELECT count(*) FROM objects WHERE cost NOT BETWEEN 0 AND 1 << 40",
                "SELECT total(cost) FROM objects"},
    CostQueries{"SELECT count(*) FROM node_records WHERE cost NOT BETWEEN 0 AND 1 << 40",
                "SELECT total(cost) FROM node_records"},
    CostQueries{"SELECT count(*) FROM fetches WHERE cost NOT BETWEEN 0 AND 1 << 40",
                "SELECT total(cost) FROM fetches"},
    CostQueries{"SELECT count(*) FROM settings WHERE cost NOT BETWEEN 0 AND 1 << 40",
                "SELECT total(cost) FROM settings"},
};

// Costs of rows without a cost of their own are counted, as they were charged.
// Errc::corrupt_store when a cost is none.
Result<std::int64_t> rows_cost(Database& database) {
    std::int64_t sum = 0;
    for (const CostQueries& of_table : cost_queries) {
        auto impossible = database.integer(of_table.impossible);
        if (!impossible) return impossible;
        if (*impossible != 0)
            return fail(Errc::corrupt_store, "catalogue: what something costs cannot be");
        auto cost = database.integer(of_table.sum);
        if (!cost) return cost;
        sum += *cost;
    }
    auto leases = database.integer("SELECT count(*) FROM leases");
    if (!leases) return leases;
    auto holders = database.integer("SELECT count(*) FROM holders");
    if (!holders) return holders;
    return sum + *leases * static_cast<std::int64_t>(cost::lease_row) +
           *holders * static_cast<std::int64_t>(cost::holder_row);
}

}  // namespace

DiskStore::DiskStore(const DiskStoreOptions& options, DirectoryLock lock, Database database)
    : directory_(options.directory),
      swarm_(options.swarm),
      lock_(std::move(lock)),
      ledger_(std::make_shared<Ledger>(options.capacity)),
      cache_(cache_footprint_max),
      files_(options.directory),
      database_(std::move(database)) {}

Result<void> DiskStore::start() {
    if (auto prepared = files_.prepare(); !prepared) return prepared;
    const std::lock_guard lock(mutex_);
    auto wanted = extents_.in_files();
    if (!wanted) return fail(std::move(wanted.error()));
    std::uint64_t missing_files = 0;
    for (const ExtentHash& hash : *wanted) {
        if (files_.has(hash)) continue;
        auto row = extents_.find(hash);
        if (!row) return fail(std::move(row.error()));
        if (!*row) continue;
        if (auto gone = extents_.remove((*row)->id); !gone) return gone;
        ++missing_files;
    }
    if (missing_files != 0)
        core::log::warn("store", "{} extents had lost their files: they are not here any more",
                        missing_files);
    auto orphans = files_.remove_except(*wanted);
    if (!orphans) return fail(std::move(orphans.error()));
    if (*orphans != 0) core::log::info("store", "deleted {} files without a row", *orphans);

    if (const auto rebuilt = rebuilt_at(database_)) orphans_kept_until_ = *rebuilt + orphans_kept;
    auto used = rows_cost(database_);
    if (!used) return fail(std::move(used.error()));
    auto objects = database_.integer("SELECT count(*) FROM objects");
    if (!objects) return fail(std::move(objects.error()));
    auto extents = database_.integer("SELECT count(*) FROM extents");
    if (!extents) return fail(std::move(extents.error()));
    ledger_->start_with(ByteCount(static_cast<std::uint64_t>(*used)),
                        static_cast<std::uint64_t>(*objects), static_cast<std::uint64_t>(*extents));
    return {};
}

DiskStore::~DiskStore() {
    const std::lock_guard lock(mutex_);
    note_damage();
}

void DiskStore::note_damage() {
    if (!database_.met_damage() || std::exchange(noted_damage_, true)) return;
    if (auto noted = suspect_catalogue(directory_); !noted)
        core::log::error("store", "{}", noted.error().message());
    else
        core::log::error("store", "the catalogue is damaged; the next start makes it anew");
}

Result<void> DiskStore::check_catalogue() {
    for (const char* const table : schema_tables()) {
        // One at a time, so that others get their turn.
        const std::lock_guard lock(mutex_);
        auto sound = check_table(database_, table);
        if (sound || sound.error().code != Errc::corrupt_store) continue;
        if (auto noted = suspect_catalogue(directory_); !noted)
            core::log::error("store", "{}", noted.error().message());
        return sound;
    }
    return {};
}

Result<void> DiskStore::check_disk(ByteCount bytes) const {
    auto space = disk_space(directory_);
    if (!space) return fail(std::move(space.error()));
    if (bytes <= left_on(*space)) return {};
    return fail(Errc::no_space,
                fmt::format("no room for {}: the disk under {} has {} free", core::size_text(bytes),
                            directory_.string(), core::size_text(space->free)));
}

ByteCount DiskStore::left_on(const DiskSpace& space) const {
    const auto spare = std::min(space.total.value / 32, disk_reserve_bytes_max);
    const auto taken = spare + ledger_->usage().reserved.value;
    return ByteCount(space.free.value - std::min(space.free.value, taken));
}

Usage DiskStore::usage() {
    Usage usage = ledger_->usage();
    if (const auto space = disk_space(directory_)) usage.disk_left = left_on(*space);
    return usage;
}

Result<std::unique_ptr<Reservation>> DiskStore::reserve(ByteCount bytes) {
    // Before anything is added to it, as it may come from a peer.
    if (bytes > ledger_->usage().capacity)
        return fail(Errc::no_space, fmt::format("no room for {} at all", core::size_text(bytes)));
    return reserve_cost(cost::of_content(bytes));
}

Result<std::unique_ptr<Reservation>> DiskStore::reserve_for(
    const std::vector<proto::Invite::Item>& items) {
    return reserve_cost(cost::of_invitation(items));
}

Result<std::unique_ptr<Reservation>> DiskStore::reserve_cost(ByteCount cost) {
    if (auto fits = check_disk(cost); !fits) return fail(std::move(fits.error()));
    auto room = ledger_->reserve(cost);
    if (!room) return fail(std::move(room.error()));
    return std::unique_ptr<Reservation>(std::move(*room));
}

namespace {
Error in_directory(Error error, const std::filesystem::path& directory) {
    if (error.code == Errc::no_space)
        error.context += ": make room on the disk of " + directory.string() +
                         " and start again; nothing that is there is lost";
    return error;
}
}  // namespace

Result<std::unique_ptr<Store>> open_disk_store(const DiskStoreOptions& options) {
    const std::filesystem::path& directory = options.directory;
    if (auto made = make_directory(directory); !made) return fail(std::move(made.error()));
    // It may be new, and its parent may be one that we can use but not open.
    (void)sync_directory(directory / "..");
    for (bool made_anew = false;; made_anew = true) {
        auto lock = DirectoryLock::acquire(directory / "lock");
        if (!lock) return fail(std::move(lock.error()));
        auto database = open_catalogue(directory);
        if (!database) return fail(in_directory(std::move(database.error()), directory));
        auto store = std::make_unique<DiskStore>(options, std::move(*lock), std::move(*database));
        auto started = store->start();
        if (started) return std::unique_ptr<Store>(std::move(store));
        if (started.error().code != Errc::corrupt_store || made_anew)
            return fail(in_directory(std::move(started.error()), directory));
        // Sound in its structure, and yet not what it was.
        store.reset();
        if (auto noted = suspect_catalogue(directory); !noted)
            return fail(in_directory(std::move(noted.error()), directory));
    }
}

}  // namespace flow29::store
