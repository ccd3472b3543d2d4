// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/partial_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>

#include <fmt/core.h>

#include "core/merkle.hpp"
#include "core/size_text.hpp"
#include "node/source.hpp"
#include "store/checksum.hpp"

namespace flow29::node {

namespace fs = std::filesystem;

namespace {
constexpr std::uint64_t group_chunks = 1ULL << limits::hash_group_level;
constexpr std::uint64_t direct_bytes_min = 64ULL << 20;  // smaller ones are soon read again
constexpr std::uint64_t block_bytes = 512;               // that st_blocks counts
}  // namespace

PartialFile::PartialFile(store::Store& store, const core::Descriptor& descriptor, Options options)
    : PartialOutput(options.path, options.folder, note_bytes),
      store_(store),
      descriptor_(descriptor),
      options_(std::move(options)) {}

fs::path PartialFile::notes() const {
    const auto first = options_.range.first.value;
    if (first == 0) return partial_;
    return partial_.string() + "@" + std::to_string(first);
}

PartialFile::~PartialFile() {
    if (direct_fd_ >= 0) ::close(direct_fd_);
    if (fd_ >= 0) ::close(fd_);
}

Result<void> PartialFile::take_room() const {
    const auto length = options_.range.count().value;
    struct statvfs disk {};
    struct stat status {};
    if (::fstatvfs(fd_, &disk) != 0 || ::fstat(fd_, &status) != 0) return {};
    const auto free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    const auto taken = static_cast<std::uint64_t>(status.st_blocks) * block_bytes;
    const auto needed = length - std::min(length, std::max(verified_.size(), taken));
    const bool fits = needed <= free;
    // The kernel then lets several threads write at once, and the file lies in one piece. Where
    // that does not work it is done as the bytes come.
    const bool taking = fits && length >= direct_bytes_min;
    if (fits &&
        (!taking || ::fallocate(fd_, 0, 0, static_cast<off_t>(length)) == 0 || errno != ENOSPC))
        return {};
    return fail(Errc::no_space,
                fmt::format("{} needs {} more and the disk has {} free", options_.path.string(),
                            core::size_text(ByteCount(needed)), core::size_text(ByteCount(free))));
}

Result<void> PartialFile::open() {
    const auto there = place_.folder->look(place_.name);
    if (!there) return fail(there.error());
    // Replacing a device, a pipe or a link would not write to it but put a file in its place.
    if (*there && !S_ISREG((*there)->st_mode))
        return fail(
            Errc::exists_already,
            options_.path.string() + " is not a regular file; `flow29 cat` writes anywhere");
    if (!options_.overwrite && *there)
        return fail(Errc::exists_already,
                    options_.path.string() + " exists already; --overwrite replaces it");
    auto opened =
        place_.folder->open(partial_name_, O_RDWR | O_CREAT, options_.executable ? 0777 : 0666);
    if (!opened)
        return fail(opened.error().code, partial_.string() + ": " + opened.error().message());
    fd_ = opened->release();
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0)
        return fail(Errc::refused, "another fetch is writing " + partial_.string() +
                                       "; `flow29 transfers` lists what is under way");
    struct stat status {};
    if (::fstat(fd_, &status) != 0) return fail_errno(errno, partial_.string());
    const auto first = options_.range.first;
    const auto noted = store_.fetch_progress(options_.root, notes());
    if (journal_.is_of(options_.root, first)) verified_ = noted;
    // Notes count only as far as the file really goes, and inside the wanted range.
    const auto end = first.value + static_cast<std::uint64_t>(status.st_size);
    verified_.erase(std::min(end, options_.range.last.value), ~std::uint64_t{0});
    verified_.erase(0, first.value);
    // Before the journal says that it is this object's again.
    auto corrected = correct(store_, options_.root, notes(), noted, verified_);
    if (!corrected) return corrected;
    // Room that was only taken, and then read along with what is before it, would look written.
    (void)::posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM);
    const auto read = [this, first](std::uint64_t at, std::span<std::uint8_t> out) {
        return at >= first.value && read_exactly(fd_, at - first.value, out).has_value();
    };
    const auto witness = FetchJournal::witness_of(fd_, options_.root, first);
    const auto unnoted = journal_.open(witness, verified_, read);
    for (const auto& range : unnoted.intervals())
        verified_.insert(range.first, range.last);
    verified_.erase(options_.range.last.value, ~std::uint64_t{0});
    recover(ByteCount(end));
    if (options_.range.count().value >= direct_bytes_min)
        if (auto direct = place_.folder->open(partial_name_, O_WRONLY | O_DIRECT))
            direct_fd_ = direct->release();
    return take_room();
}

void PartialFile::recover(ByteCount end) {
    const auto layout = descriptor_.layout();
    core::Buffer data;
    for (std::uint64_t i = 0; i < layout.extents() && !options_.stop.stop_requested(); ++i) {
        const auto bytes = layout.extent_bytes(ExtentIndex(i));
        const bool present = bytes.first >= options_.range.first && bytes.last <= end &&
                             bytes.last <= options_.range.last;
        if (!present || verified_.contains(bytes.first.value, bytes.last.value)) continue;
        const auto at = static_cast<off_t>((bytes.first - options_.range.first).value);
        // Where anything was never written there is a hole, and the extent is not whole.
        const auto hole = ::lseek(fd_, at, SEEK_HOLE);
        if (hole >= 0 && hole < at + static_cast<off_t>(bytes.count().value)) continue;
        if (data.size() < bytes.count().value) data = core::Buffer(bytes.count().value);
        const auto view = data.span().first(bytes.count().value);
        if (!read_exactly(fd_, static_cast<std::uint64_t>(at), view)) continue;
        if (options_.key) options_.key->apply(bytes.first.value, view);
        if (core::tree_hash(view) == descriptor_.extents[i])
            verified_.insert(bytes.first.value, bytes.last.value);
    }
}

Result<void> PartialFile::write(ByteView data, std::uint64_t offset) {
    const auto address = reinterpret_cast<std::uintptr_t>(data.data());
    const auto rest = data.size() % core::Buffer::page_bytes;
    const bool on_borders = (address | offset) % core::Buffer::page_bytes == 0;
    if (direct_fd_ >= 0 && on_borders && data.size() > rest) {
        const auto whole = data.first(data.size() - rest);
        const auto wrote =
            ::pwrite(direct_fd_, whole.data(), whole.size(), static_cast<off_t>(offset));
        // Where that does not work, or not all of it, the other way does or says what is wrong.
        if (wrote > 0) {
            data = data.subspan(static_cast<std::size_t>(wrote));
            offset += static_cast<std::uint64_t>(wrote);
        }
    }
    if (data.empty()) return {};
    // The kernel lets one thread at a time write to a file, and others spin for their turn.
    const std::lock_guard turn(write_mutex_);
    while (!data.empty()) {
        const auto wrote = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return fail_errno(errno, "writing " + partial_.string());
        data = data.subspan(static_cast<std::size_t>(wrote));
        offset += static_cast<std::uint64_t>(wrote);
    }
    return {};
}

Result<void> PartialFile::store(const Piece& piece, ByteView data,
                                const core::VerifiedRange& hashes) {
    // Pieces are whole chunks; of the first and last, only what the range asks for is written.
    const auto first = std::max(piece.bytes.first, options_.range.first).value;
    const auto last = std::min(piece.bytes.last, options_.range.last).value;
    if (first < last) {
        const auto wanted = data.subspan(first - piece.bytes.first.value, last - first);
        if (auto wrote = write(wanted, first - options_.range.first.value); !wrote) return wrote;
        // Its hashes, unless they are of something else than what is in the file.
        const bool are_its = first == piece.bytes.first.value && !options_.key;
        journal_.add(first, wanted,
                     are_its ? std::span(hashes.leaves) : std::span<const ChunkHash>());
    }
    const auto& groups = hashes.group_hashes;
    if (!options_.share || groups.empty()) return {};

    const auto checksums = store::block_checksums(data);
    const auto blocks = store::checksum_blocks(descriptor_.layout().extent_length(piece.extent));
    const auto at = static_cast<std::ptrdiff_t>(piece.chunks.first.value / group_chunks);
    const std::lock_guard lock(mutex_);
    auto& seen = seen_[piece.extent.value];
    seen.group_hashes.resize(blocks);
    seen.checksums.resize(blocks);
    std::copy(groups.begin(), groups.end(), seen.group_hashes.begin() + at);
    std::copy(checksums.begin(), checksums.end(), seen.checksums.begin() + at);
    return {};
}

void PartialFile::deliver(const Piece& piece, core::Buffer& data) {
    PartialOutput::deliver(piece, data);
    const std::lock_guard lock(mutex_);
    if (const auto seen = seen_.find(piece.extent.value); seen != seen_.end())
        seen->second.bytes += data.size();
}

Result<void> PartialFile::note(const core::RangeSet& verified) {
    if (::fdatasync(fd_) != 0) return fail_errno(errno, "syncing " + partial_.string());
    return store_.set_fetch_progress(options_.root, notes(), verified);
}

Result<void> PartialFile::leave(const core::RangeSet& verified) {
    // Who said how long it is may have meant just that.
    if (verified.empty() && ::ftruncate(fd_, 0) != 0) return fail_errno(errno, partial_.string());
    return note(verified);
}

Result<void> PartialFile::finish() {
    if (::ftruncate(fd_, static_cast<off_t>(options_.range.count().value)) != 0)
        return fail_errno(errno, partial_.string());
    if (options_.modified)
        if (auto set = place_.folder->set_modified(partial_name_, *options_.modified); !set)
            return set;
    if (::fsync(fd_) != 0) return fail_errno(errno, "syncing " + partial_.string());
    // Before it is moved: whatever fails or ends the process after that leaves nothing beside it,
    // and before that only what is known by its hash as well.
    if (auto forgotten = store_.end_fetch(options_.root, notes()); !forgotten) return forgotten;
    journal_.remove();
    const auto moved = place_.folder->move(
        partial_name_, place_.name, options_.overwrite ? Replacing::file : Replacing::nothing);
    if (!moved && moved.error().code == Errc::exists_already)
        return fail(Errc::exists_already, options_.path.string() +
                                              " appeared meanwhile; what was fetched is in " +
                                              partial_.string());
    if (!moved) return moved;
    return place_.folder->sync();
}

std::optional<PartialFile::Seen> PartialFile::look_at(ExtentIndex extent) const {
    if (const auto seen = seen_.find(extent.value);
        seen != seen_.end() &&
        seen->second.bytes == descriptor_.layout().extent_length(extent).value)
        return seen->second;
    const auto bytes = descriptor_.layout().extent_bytes(extent);
    core::Buffer data(bytes.count().value);
    const auto at = (bytes.first - options_.range.first).value;
    if (!read_exactly(fd_, at, data.span())) return std::nullopt;
    const auto tree = core::GroupTree::build(data.view(), limits::hash_group_level);
    if (tree.top() != descriptor_.extents[extent.value]) return std::nullopt;
    return Seen{{tree.group_hashes().begin(), tree.group_hashes().end()},
                store::block_checksums(data.view()),
                data.size()};
}

std::vector<store::ExtentReference> PartialFile::references() const {
    std::vector<store::ExtentReference> references;
    const auto layout = descriptor_.layout();
    std::error_code ec;
    const auto file = fs::absolute(options_.path, ec);
    for (std::uint64_t i = 0; i < layout.extents(); ++i) {
        const ExtentIndex extent(i);
        const auto bytes = layout.extent_bytes(extent);
        if (bytes.first < options_.range.first || bytes.last > options_.range.last) continue;
        auto seen = look_at(extent);
        if (!seen) continue;
        references.push_back({descriptor_.extents[i], file, bytes.first - options_.range.first,
                              bytes.count(), std::move(seen->group_hashes),
                              std::move(seen->checksums)});
    }
    return references;
}

Result<void> PartialFile::copy_into_store() const {
    constexpr std::uint64_t batch_bytes = 16ULL << 20;
    const auto layout = descriptor_.layout();
    std::vector<store::NewExtent> batch;
    std::uint64_t bytes = 0;
    for (std::uint64_t i = 0; i < layout.extents(); ++i) {
        const auto extent = layout.extent_bytes(ExtentIndex(i));
        if (extent.first < options_.range.first || extent.last > options_.range.last) continue;
        if (store_.owns_extent(descriptor_.extents[i])) continue;
        core::Buffer data(extent.count().value);
        const auto at = (extent.first - options_.range.first).value;
        if (auto got = read_exactly(fd_, at, data.span()); !got) return got;
        const auto tree = core::GroupTree::build(data.view(), limits::hash_group_level);
        if (tree.top() != descriptor_.extents[i])
            return fail(Errc::corrupt_store, options_.path.string() + " was changed");
        bytes += data.size();
        batch.push_back({descriptor_.extents[i],
                         std::move(data),
                         {tree.group_hashes().begin(), tree.group_hashes().end()}});
        if (bytes < batch_bytes) continue;
        if (auto put = store_.put_extents(std::move(batch)); !put) return put;
        batch.clear();
        bytes = 0;
    }
    return batch.empty() ? Result<void>() : store_.put_extents(std::move(batch));
}

}  // namespace flow29::node
