// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/partial_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include <fmt/core.h>

#include "core/log.hpp"
#include "core/merkle.hpp"
#include "core/printable.hpp"
#include "core/size_text.hpp"
#include "node/directory_source.hpp"

namespace flow29::node {

namespace {

bool is_executable(EntryType type) {
    return type == EntryType::executable;
}

}  // namespace

PartialDirectory::PartialDirectory(store::Store& store, core::Descriptor descriptor,
                                   std::shared_ptr<const core::Manifest> manifest, Options options)
    : PartialOutput(options.path, options.folder, note_bytes),
      store_(store),
      descriptor_(std::move(descriptor)),
      manifest_(std::move(manifest)),
      options_(std::move(options)),
      span_(manifest_->below(options_.below)),
      files_([this](std::size_t index) { return open_file(index); }) {}

std::string PartialDirectory::path_of(std::size_t index) const {
    const auto skipped = options_.below.empty() ? 0 : options_.below.size() + 1;
    return manifest_->entries()[index].path.substr(skipped);
}

std::uint64_t PartialDirectory::files() const {
    std::uint64_t count = 0;
    for (auto i = span_.first; i < span_.last; ++i)
        count += manifest_->entries()[i].type != EntryType::empty_directory ? 1 : 0;
    return count;
}

ByteCount PartialDirectory::file_bytes() const {
    ByteCount sum;
    for (auto i = span_.first; i < span_.last; ++i)
        sum += manifest_->entries()[i].length;
    return sum;
}

Result<void> PartialDirectory::check_target() const {
    const auto there = place_.folder->look(place_.name);
    if (!there) return fail(there.error());
    if (!*there) return {};
    // Only like replaces like: nobody means to lose a directory for a file's name, or a link.
    if (!S_ISDIR((*there)->st_mode))
        return fail(Errc::exists_already,
                    options_.path.string() + " is not a directory, so none replaces it");
    if (!options_.overwrite)
        return fail(Errc::exists_already,
                    options_.path.string() + " exists already; --overwrite replaces all of it");
    // Said now, and not by the rename that would fail once everything is here.
    const auto name = options_.path.filename();
    if (name == "." || name == "..")
        return fail(Errc::usage, options_.path.string() +
                                     " would be replaced whole; name a directory in it instead, "
                                     "like -o " +
                                     (name / "NAME").string());
    const auto above = place_.folder->open({}, O_RDONLY | O_DIRECTORY);
    struct stat around {};
    if (above && ::fstat(above->get(), &around) == 0 && (*there)->st_dev != around.st_dev)
        return fail(Errc::refused, options_.path.string() +
                                       " is where a file system is mounted, and cannot be "
                                       "replaced; name a directory in it instead");
    return {};
}

/// A manifest has room for a million directories, and a slow disk needs minutes to make them.
Result<void> PartialDirectory::check_stop() const {
    if (options_.stop.stop_requested()) return fail(Errc::interrupted, "stopped");
    return {};
}

Result<void> PartialDirectory::open() {
    if (auto free = check_target(); !free) return free;
    auto& folder = *place_.folder;
    const auto earlier = folder.look(partial_name_);
    if (!earlier) return fail(earlier.error());
    const bool is_new = !*earlier;
    if (is_new)
        if (auto made = folder.make_directories(partial_name_); !made) return made;
    auto entered = folder.enter(partial_name_);
    if (!entered) return fail(entered.error());
    inside_ = std::move(*entered);
    auto opened = inside_->open({}, O_RDONLY | O_DIRECTORY);
    if (!opened) return fail(opened.error());
    directory_ = std::move(*opened);
    if (::flock(directory_.get(), LOCK_EX | LOCK_NB) != 0)
        return fail(Errc::refused, "another fetch is writing " + partial_.string() +
                                       "; `flow29 transfers` lists what is under way");
    present_.assign(span_.last - span_.first, false);
    const auto noted = store_.fetch_progress(options_.root, partial_);
    verified_ = core::RangeSet();
    if (!is_new) {
        if (journal_.is_of(options_.root, wanted().first)) verified_ = noted;
        if (auto adopted = adopt(); !adopted) return adopted;
    }
    // Before the journal says that it is this object's again.
    auto corrected = correct(store_, options_.root, partial_, noted, verified_);
    if (!corrected) return corrected;
    if (auto room = check_room(is_new ? manifest_->directories(span_) : 0); !room) return room;
    if (auto made = make_tree(); !made) return made;
    take_up_journal();
    if (!is_new) recover();
    return {};
}

Result<void> PartialDirectory::adopt() {
    std::string prefix = options_.below;
    if (!prefix.empty()) prefix += '/';
    std::vector<std::string> strangers;
    std::vector<std::uint64_t> sizes(present_.size());
    const VisitFn visit = [&](const std::string& path, const struct stat& facts) -> Result<bool> {
        if (auto going = check_stop(); !going) return fail(going.error());
        const auto full = prefix + path;
        const auto index = manifest_->find(full);
        const bool is_inner = !index && !manifest_->below(full).empty();
        if (S_ISDIR(facts.st_mode)) {
            const bool is_empty =
                index && manifest_->entries()[*index].type == EntryType::empty_directory;
            if (is_inner || is_empty) return true;
        } else if (index && S_ISREG(facts.st_mode)) {
            const auto& entry = manifest_->entries()[*index];
            const auto size = static_cast<std::uint64_t>(facts.st_size);
            const bool executable = (facts.st_mode & S_IXUSR) != 0;
            // One with other names would be changed under these as well.
            if (entry.type != EntryType::empty_directory && size <= entry.length.value &&
                executable == is_executable(entry.type) && facts.st_nlink == 1) {
                present_[*index - span_.first] = true;
                sizes[*index - span_.first] = size;
                return false;
            }
        }
        strangers.push_back(path);
        return false;
    };
    const ListFn list = [this](const std::string& path) { return inside_->list(path); };
    if (auto walked = walk(list, visit); !walked) return walked;
    for (const auto& path : strangers) {
        if (auto going = check_stop(); !going) return going;
        if (auto gone = inside_->remove(path); !gone) return gone;
    }
    // Notes count only as far as the files really go, and inside what is wanted.
    for (auto i = span_.first; i < span_.last; ++i) {
        const auto place = manifest_->place(i);
        if (place.empty()) continue;
        const auto size = present_[i - span_.first] ? sizes[i - span_.first] : 0;
        if (size < place.count().value) verified_.erase(place.first.value + size, place.last.value);
    }
    verified_.erase(0, wanted().first.value);
    verified_.erase(wanted().last.value, ~std::uint64_t{0});
    return {};
}

Result<core::UniqueFd> PartialDirectory::open_file(std::size_t index) {
    const auto path = path_of(index);
    const std::lock_guard lock(mutex_);
    const auto at = index - span_.first;
    if (present_[at]) return inside_->open(path, O_RDWR);
    const unsigned mode = is_executable(manifest_->entries()[index].type) ? 0777 : 0666;
    auto made = inside_->open(path, O_RDWR | O_CREAT | O_EXCL, mode);
    if (made) present_[at] = true;
    if (made || made.error().code != Errc::exists_already) return made;
    return fail(Errc::refused,
                fmt::format("\"{}\" is there already in {}: another of its files has that name on "
                            "this file system, or somebody else writes there",
                            core::printable(path), partial_.string()));
}

Result<void> PartialDirectory::make_tree() {
    std::string made;
    for (auto i = span_.first; i < span_.last; ++i) {
        if (auto going = check_stop(); !going) return going;
        const auto path = path_of(i);
        const auto& entry = manifest_->entries()[i];
        const bool is_directory = entry.type == EntryType::empty_directory;
        const auto slash = path.rfind('/');
        auto above = slash == std::string::npos ? std::string() : path.substr(0, slash);
        if (is_directory) above = path;
        if (above != made && !above.empty())
            if (auto done = inside_->make_directories(above); !done) return done;
        made = std::move(above);
        // The others are made when the first of their content is written.
        if (is_directory || entry.length.value > 0) continue;
        if (const auto file = open_file(i); !file) return fail(file.error());
    }
    return {};
}

/// Its records are of parts of single files.
void PartialDirectory::take_up_journal() {
    const auto file_at = [this](std::uint64_t byte) {
        const auto index = manifest_->at_or_after(ByteCount(byte));
        return index < span_.last ? std::optional(index) : std::nullopt;
    };
    const auto read = [&](std::uint64_t first, std::span<std::uint8_t> out) {
        const auto index = file_at(first);
        if (!index || *index < span_.first || !present_[*index - span_.first]) return false;
        const auto place = manifest_->place(*index);
        const auto file = files_.get(*index);
        return place.first.value <= first && file &&
               read_exactly((*file)->get(), first - place.first.value, out).has_value();
    };
    const auto witness = FetchJournal::witness_of(directory_.get(), options_.root, wanted().first);
    const auto unnoted = journal_.open(witness, verified_, read);
    for (const auto& range : unnoted.intervals())
        verified_.insert(range.first, range.last);
    // Between two files there is nothing to be had.
    for (auto i = span_.first; i + 1 < span_.last; ++i) {
        const auto place = manifest_->place(i);
        if (!place.empty() && verified_.contains(place.last.value - 1))
            verified_.insert(place.last.value, manifest_->place(i + 1).first.value);
    }
}

void PartialDirectory::recover() {
    const auto layout = descriptor_.layout();
    const auto encoded = manifest_->encode();
    const auto want = wanted();
    const ReadFileFn read_one = [this](std::size_t index, std::uint64_t offset,
                                       std::span<std::uint8_t> out) -> Result<void> {
        if (!present_[index - span_.first]) return fail(Errc::not_found);
        const auto file = files_.get(index);
        if (!file) return fail(file.error());
        return read_exactly((*file)->get(), offset, out);
    };
    core::Buffer data;
    for (std::uint64_t i = 0; i < layout.extents() && check_stop(); ++i) {
        auto bytes = layout.extent_bytes(ExtentIndex(i));
        // What precedes the files is not fetched into them.
        const bool begins =
            bytes.first < want.first && want.first.value <= encoded.size() + limits::chunk_bytes;
        if ((bytes.first < want.first && !begins) || bytes.last > want.last || want.empty())
            continue;
        const auto wanted_first = std::max(bytes.first, want.first).value;
        if (verified_.contains(wanted_first, bytes.last.value)) continue;
        if (data.size() < bytes.count().value) data = core::Buffer(bytes.count().value);
        const auto view = data.span().first(bytes.count().value);
        if (!read_packed(*manifest_, encoded, bytes.first.value, view, read_one)) continue;
        if (options_.key) options_.key->apply(bytes.first.value, view);
        if (core::tree_hash(view) == descriptor_.extents[i])
            verified_.insert(wanted_first, bytes.last.value);
    }
}

Result<void> PartialDirectory::check_room(std::size_t directories) const {
    struct statvfs disk {};
    if (::fstatvfs(directory_.get(), &disk) != 0) return {};
    const auto block = std::max<std::uint64_t>(1, disk.f_frsize);
    std::uint64_t needed = directories * block;
    for (auto i = span_.first; i < span_.last; ++i) {
        const auto place = manifest_->place(i);
        if (verified_.contains(place.first.value, place.last.value)) continue;
        needed += (place.count().value + block - 1) / block * block;
    }
    const auto free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    if (needed <= free) return {};
    return fail(Errc::no_space,
                fmt::format("{} needs {} more and the disk has {} free", options_.path.string(),
                            core::size_text(ByteCount(needed)), core::size_text(ByteCount(free))));
}

Result<void> PartialDirectory::write(std::size_t index, std::uint64_t offset, ByteView data) {
    OpenFiles::Handle file;
    if (data.size() == manifest_->entries()[index].length.value) {
        auto once = open_file(index);
        if (!once) return fail(once.error());
        file = std::make_shared<const core::UniqueFd>(std::move(*once));
    } else {
        auto kept = files_.get(index);
        if (!kept) return fail(kept.error());
        file = std::move(*kept);
    }
    while (!data.empty()) {
        const auto wrote =
            ::pwrite(file->get(), data.data(), data.size(), static_cast<off_t>(offset));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return fail_errno(errno, "writing " + core::printable(path_of(index)));
        data = data.subspan(static_cast<std::size_t>(wrote));
        offset += static_cast<std::uint64_t>(wrote);
    }
    return {};
}

Result<void> PartialDirectory::store(const Piece& piece, ByteView data,
                                     const core::VerifiedRange& hashes) {
    for (auto i = std::max(span_.first, manifest_->at_or_after(piece.bytes.first)); i < span_.last;
         ++i) {
        const auto place = manifest_->place(i);
        if (place.first >= piece.bytes.last) break;
        const auto first = std::max(place.first, piece.bytes.first);
        const auto last = std::min(place.last, piece.bytes.last);
        if (first >= last) continue;
        const auto part = data.subspan((first - piece.bytes.first).value, (last - first).value);
        if (auto wrote = write(i, (first - place.first).value, part); !wrote) return wrote;
        // Every file begins with a chunk of its own. What comes decrypted has other hashes.
        const auto skipped = (first - piece.bytes.first).value / limits::chunk_bytes;
        const auto known =
            options_.key ? std::span<const ChunkHash>() : std::span(hashes.leaves).subspan(skipped);
        journal_.add(first.value, part, known);
    }
    return {};
}

Result<void> PartialDirectory::note(const core::RangeSet& verified) {
    // One call instead of one for each of the files.
    if (::syncfs(directory_.get()) != 0) return fail_errno(errno, "syncing " + partial_.string());
    return store_.set_fetch_progress(options_.root, partial_, verified);
}

Result<void> PartialDirectory::set_times() {
    for (auto i = span_.first; i < span_.last; ++i) {
        const auto& time = manifest_->entries()[i].modified;
        if (!time) continue;
        if (auto going = check_stop(); !going) return going;
        if (auto set = inside_->set_modified(path_of(i), *time); !set) return set;
    }
    return {};
}

Result<void> PartialDirectory::finish() {
    if (auto set = set_times(); !set) return set;
    if (::syncfs(directory_.get()) != 0) return fail_errno(errno, "syncing " + partial_.string());
    // Before the swap: after it the notes would speak of the directory that was there.
    if (auto forgotten = store_.end_fetch(options_.root, partial_); !forgotten) return forgotten;
    journal_.remove();
    if (auto free = check_target(); !free) return free;
    auto& folder = *place_.folder;
    auto moved = folder.move(partial_name_, place_.name, Replacing::nothing);
    const bool swaps = !moved && moved.error().code == Errc::exists_already && options_.overwrite;
    if (swaps) moved = folder.move(partial_name_, place_.name, Replacing::swap);
    if (!moved && moved.error().code == Errc::exists_already)
        return fail(Errc::exists_already, options_.path.string() +
                                              " appeared meanwhile; what was fetched is in " +
                                              partial_.string());
    if (!moved) return moved;
    if (auto synced = folder.sync(); !synced) return synced;
    if (!swaps) return {};
    // What was replaced is under the other name now. That it cannot be deleted undoes nothing.
    if (const auto gone = folder.remove(partial_name_); !gone)
        core::log::warn("fetch", "{} is left: {}", partial_.string(), gone.error().message());
    return {};
}

}  // namespace flow29::node
