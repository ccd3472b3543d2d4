// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/extent_files.hpp"

#include "store/file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <vector>

namespace flow29::store {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t open_files_max = 64;

tl::unexpected<Error> fail_code(const std::error_code& code, const fs::path& path) {
    return fail_errno(code.value(), path.string());
}

/// A file under tmp/ that is gone afterwards unless it was renamed.
struct Temporary {
    fs::path path;  // empty once renamed
    File file;
    const NewExtent* extent;
};

class Temporaries {
  public:
    Temporaries() = default;
    Temporaries(const Temporaries&) = delete;
    Temporaries& operator=(const Temporaries&) = delete;
    ~Temporaries() {
        for (const Temporary& temporary : files) {
            if (!temporary.path.empty()) ::unlink(temporary.path.c_str());
        }
    }
    std::vector<Temporary> files;
};

}  // namespace

fs::path ExtentFiles::folder_of(unsigned number) const {
    const auto octet = static_cast<std::uint8_t>(number);
    return directory_ / "extents" / to_hex(ByteView(&octet, 1));
}

fs::path ExtentFiles::path_of(const ExtentHash& hash) const {
    return folder_of(hash.bytes[0]) / to_hex(hash);
}

Result<void> ExtentFiles::prepare() {
    if (auto made = make_directory(directory_ / "extents"); !made) return made;
    const fs::path temporary = directory_ / "tmp";
    if (auto made = make_directory(temporary); !made) return made;
    std::error_code code;
    if (fs::is_symlink(temporary, code))
        return fail(Errc::file_error, temporary.string() +
                                          ": it is a link, and what is in the "
                                          "directory would be deleted");
    for (fs::directory_iterator entry(temporary, code), end; !code && entry != end;
         entry.increment(code)) {
        std::error_code ignored;  // what cannot be deleted now only takes room
        fs::remove_all(entry->path(), ignored);
    }
    if (code) return fail_code(code, temporary);
    if (auto synced = sync_directory(directory_); !synced) return synced;

    if (auto synced = sync_directory(directory_ / "extents"); !synced) return synced;
    for (unsigned number = 0; number < folders; ++number)
        folder_is_durable_[number] = fs::is_directory(folder_of(number), code);
    return {};
}

Result<void> ExtentFiles::write(std::span<const NewExtent* const> extents) {
    while (!extents.empty()) {
        const std::size_t count = std::min(extents.size(), open_files_max);
        if (auto written = write_some(extents.first(count)); !written) return written;
        extents = extents.subspan(count);
    }
    return {};
}

Result<void> ExtentFiles::write_some(std::span<const NewExtent* const> extents) {
    Temporaries temporaries;
    temporaries.files.reserve(extents.size());
    for (const NewExtent* extent : extents) {
        const fs::path path = directory_ / "tmp" / std::to_string(next_temporary_++);
        auto file = File::open(path, O_WRONLY | O_CREAT | O_EXCL);
        if (!file) return fail(std::move(file.error()));
        Temporary& made = temporaries.files.emplace_back(Temporary{path, std::move(*file), extent});
        std::vector<ByteView> parts{extent->data.view()};
        for (const core::Buffer& piece : extent->rest)
            parts.push_back(piece.view());
        if (auto written = made.file.write_past_cache(parts); !written) return written;
        made.file.start_writeback();
    }

    std::set<unsigned> changed;
    for (Temporary& temporary : temporaries.files) {
        if (auto synced = temporary.file.sync(); !synced) return synced;
        const unsigned number = temporary.extent->hash.bytes[0];
        if (auto made = make_folder(number); !made) return made;
        const fs::path path = path_of(temporary.extent->hash);
        if (auto renamed = rename_into(number, temporary.path, path); !renamed) return renamed;
        temporary.path.clear();
        changed.insert(number);
    }
    for (const unsigned number : changed) {
        if (auto synced = sync_directory(folder_of(number)); !synced) return synced;
    }
    return {};
}

// Folders are made when needed: 256 of them take a second to sync. That one is there is not enough,
// as another thread may have made it just now and not synced it yet.
Result<void> ExtentFiles::make_folder(unsigned number) {
    if (folder_is_durable_[number]) return {};
    // Its parent, too, may have been deleted under us.
    if (auto made = make_directory(directory_ / "extents"); !made) return made;
    if (auto made = make_directory(folder_of(number)); !made) return made;
    if (auto synced = sync_directory(directory_ / "extents"); !synced) return synced;
    folder_is_durable_[number] = true;
    return {};
}

Result<void> ExtentFiles::rename_into(unsigned number, const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) == 0) return {};
    if (errno == EISDIR) {
        // Nothing of ours: out of the way, and gone at the next start.
        const fs::path aside = directory_ / "tmp" / std::to_string(next_temporary_++);
        if (::rename(to.c_str(), aside.c_str()) != 0 || ::rename(from.c_str(), to.c_str()) != 0)
            return fail_errno(errno, to.string());
        return {};
    }
    if (errno != ENOENT) return fail_errno(errno, to.string());
    // Somebody deleted folders under us: what was in them is gone, what comes need not be.
    for (auto& durable : folder_is_durable_)
        durable = false;
    if (auto made = make_folder(number); !made) return made;
    if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno(errno, to.string());
    return {};
}

void ExtentFiles::remove(const ExtentHash& hash) {
    // One that cannot be deleted has no row any more: the next start tries again.
    ::unlink(path_of(hash).c_str());
}

bool ExtentFiles::has(const ExtentHash& hash) const {
    std::error_code code;
    return fs::is_regular_file(path_of(hash), code);
}

bool ExtentFiles::any() const {
    for (unsigned number = 0; number < folders; ++number) {
        std::error_code code;
        for (fs::directory_iterator entry(folder_of(number), code), end; !code && entry != end;
             entry.increment(code))
            if (id_from_hex<ExtentHash>(entry->path().filename().string())) return true;
    }
    return false;
}

std::vector<ExtentHash> ExtentFiles::all() const {
    std::vector<ExtentHash> hashes;
    for (unsigned number = 0; number < folders; ++number) {
        std::error_code code;
        for (fs::directory_iterator entry(folder_of(number), code), end; !code && entry != end;
             entry.increment(code)) {
            const auto hash = id_from_hex<ExtentHash>(entry->path().filename().string());
            if (hash && hash->bytes[0] == number) hashes.push_back(*hash);
        }
    }
    return hashes;
}

Result<std::uint64_t> ExtentFiles::remove_except(const std::unordered_set<ExtentHash>& wanted) {
    std::uint64_t removed = 0;
    for (unsigned number = 0; number < folders; ++number) {
        const fs::path folder = folder_of(number);
        std::error_code code;
        for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
             entry.increment(code)) {
            // Names that are no hash were not made here and are left alone.
            const auto hash = id_from_hex<ExtentHash>(entry->path().filename().string());
            if (!hash || wanted.contains(*hash)) continue;
            remove(*hash);
            ++removed;
        }
        if (code && code != std::errc::no_such_file_or_directory) return fail_code(code, folder);
    }
    return removed;
}

}  // namespace flow29::store
