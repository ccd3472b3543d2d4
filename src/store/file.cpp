// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/buffer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <string>
#include <utility>
#include <vector>

namespace flow29::store {
namespace {

/// Whether an errno speaks of the content itself and not of this attempt to reach it. A wrong owner
/// or too many open files must not make a store forget what it has.
bool content_is_lost(int errnum) {
    return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == EIO ||
           errnum == EISDIR || errnum == ENXIO;
}

tl::unexpected<Error> fail_content(int errnum, const std::filesystem::path& path) {
    auto error = fail_errno(errnum, path.string());
    if (content_is_lost(errnum)) return fail(Errc::corrupt_store, error.value().context);
    return error;
}

}  // namespace

Result<File> File::open(const std::filesystem::path& path, int flags) {
    const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (descriptor < 0) return fail_errno(errno, path.string());
    return File(descriptor, path);
}

Result<File> File::open_content(const std::filesystem::path& path) {
    // Without O_NONBLOCK, a pipe put in the file's place would hold this thread for ever.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (descriptor < 0) return fail_content(errno, path);
    File file(descriptor, path);
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) return fail_content(errno, path);
    if (!S_ISREG(status.st_mode))
        return fail(Errc::corrupt_store, path.string() + ": no longer a regular file");
    return file;
}

File::~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(path_, other.path_);
    return *this;
}

namespace {

bool on_page_border(ByteView octets) {
    return reinterpret_cast<std::uintptr_t>(octets.data()) % core::Buffer::page_bytes == 0;
}

/// While it lives, and if the file system can, what is read and written goes past the page cache.
class PastCache {
  public:
    explicit PastCache(int descriptor) : descriptor_(descriptor) {
        flags_ = ::fcntl(descriptor_, F_GETFL);
        if (flags_ >= 0 && ::fcntl(descriptor_, F_SETFL, flags_ | O_DIRECT) != 0) flags_ = -1;
    }
    PastCache(const PastCache&) = delete;
    PastCache& operator=(const PastCache&) = delete;
    ~PastCache() {
        // Clearing a flag that could be set does not fail.
        if (flags_ >= 0) (void)::fcntl(descriptor_, F_SETFL, flags_);
    }
    explicit operator bool() const { return flags_ >= 0; }

  private:
    int descriptor_;
    int flags_;
};

}  // namespace

Result<void> File::write_all(ByteView data) {
    while (!data.empty()) {
        const ssize_t written = ::write(descriptor_, data.data(), data.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_errno(errno, path_.string());
        data = data.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> File::write_past_cache(std::span<const ByteView> parts) {
    // In one call: each wakes the disk, which costs as much as copying a third of a MiB.
    std::vector<iovec> whole;
    for (const ByteView part : parts) {
        if (whole.size() == IOV_MAX || !on_page_border(part)) break;
        const std::size_t size = part.size() - part.size() % core::Buffer::page_bytes;
        if (size != 0) whole.push_back({const_cast<std::uint8_t*>(part.data()), size});
        if (size != part.size()) break;
    }
    std::size_t done = 0;
    if (const PastCache past(descriptor_); past && !whole.empty()) {
        const ssize_t written = ::writev(descriptor_, whole.data(), static_cast<int>(whole.size()));
        // What that did not write, the usual way does, or says why not.
        if (written > 0) done = static_cast<std::size_t>(written);
    }
    for (const ByteView part : parts) {
        const std::size_t skipped = std::min(done, part.size());
        done -= skipped;
        if (auto written = write_all(part.subspan(skipped)); !written) return written;
    }
    return {};
}

void File::start_writeback() {
    // Only a hint: sync() waits and reports.
    (void)::sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

Result<void> File::sync() {
    while (::fsync(descriptor_) != 0) {
        if (errno != EINTR) return fail_errno(errno, path_.string());
    }
    return {};
}

Result<void> File::read_exactly(ByteCount offset, std::span<std::uint8_t> out) const {
    auto position = static_cast<off_t>(offset.value);
    while (!out.empty()) {
        const ssize_t got = ::pread(descriptor_, out.data(), out.size(), position);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_content(errno, path_);
        if (got == 0) return fail(Errc::corrupt_store, path_.string() + ": shorter than it was");
        out = out.subspan(static_cast<std::size_t>(got));
        position += got;
    }
    return {};
}

Result<void> File::read_past_cache(ByteCount offset, std::span<std::uint8_t> out) const {
    const auto read_on = [this, &offset, &out](std::size_t size, int flags) {
        const iovec part{out.data(), size};
        const ssize_t got =
            ::preadv2(descriptor_, &part, 1, static_cast<off_t>(offset.value), flags);
        if (got <= 0) return;
        offset += ByteCount(static_cast<std::uint64_t>(got));
        out = out.subspan(static_cast<std::size_t>(got));
    };
    // It may be in memory because it was read often.
    read_on(out.size(), RWF_NOWAIT);
    const std::size_t whole = out.size() - out.size() % core::Buffer::page_bytes;
    if (whole != 0 && on_page_border(out) && offset.value % core::Buffer::page_bytes == 0)
        if (const PastCache past(descriptor_); past) read_on(whole, 0);
    // What that did not read, the usual way does, or says why not.
    return read_exactly(offset, out);
}

void File::forget_cached(ByteCount offset, ByteCount length) const {
    // Only a hint.
    (void)::posix_fadvise(descriptor_, static_cast<off_t>(offset.value),
                          static_cast<off_t>(length.value), POSIX_FADV_DONTNEED);
}

Result<void> sync_directory(const std::filesystem::path& directory) {
    auto file = File::open(directory, O_RDONLY | O_DIRECTORY);
    if (!file) return fail(std::move(file.error()));
    return file->sync();
}

Result<void> make_directory(const std::filesystem::path& directory) {
    if (::mkdir(directory.c_str(), 0700) == 0) return {};
    if (errno != EEXIST) return fail_errno(errno, directory.string());
    std::error_code ignored;
    if (!std::filesystem::is_directory(directory, ignored))
        return fail_errno(ENOTDIR, directory.string());
    return {};
}

Result<DiskSpace> disk_space(const std::filesystem::path& path) {
    struct statvfs status {};
    if (::statvfs(path.c_str(), &status) != 0) return fail_errno(errno, path.string());
    return DiskSpace{ByteCount(status.f_bavail * status.f_frsize),
                     ByteCount(status.f_blocks * status.f_frsize)};
}

Result<DirectoryLock> DirectoryLock::acquire(const std::filesystem::path& path) {
    auto file = File::open(path, O_RDWR | O_CREAT);
    if (!file) return fail(std::move(file.error()));
    // flock and not fcntl: a second store in this same process must be refused too.
    if (::flock(file->descriptor(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return fail_errno(errno, path.string());
        std::array<char, 16> pid{};
        const ssize_t got = ::pread(file->descriptor(), pid.data(), pid.size(), 0);
        std::string text(pid.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
        text.erase(std::min(text.find_first_not_of("0123456789"), text.size()));
        const std::string holder = text.empty() ? "another process" : "process " + text;
        return fail(Errc::locked, holder + " uses " + path.parent_path().string() +
                                      "; --data names another directory");
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(file->descriptor(), 0) != 0) return fail_errno(errno, path.string());
    auto written = file->write_all({reinterpret_cast<const std::uint8_t*>(pid.data()), pid.size()});
    if (!written) return fail(std::move(written.error()));
    return DirectoryLock(std::move(*file));
}

}  // namespace flow29::store
