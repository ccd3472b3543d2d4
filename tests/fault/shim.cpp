// SPDX-License-Identifier: GPL-3.0-or-later
// Stands before the C library: every call that changes a disk comes through here and is passed on
// as a bare system call, done in part, failed, or is the last thing that the process does. What is
// written through a mapping would not be seen; a node has none.
#include "points.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

namespace {

using namespace flow29::fault;

/// Whether the call fails; then errno says so.
bool fails(Kind kind) {
    if (kind != Kind::io_error && kind != Kind::no_space) return false;
    errno = kind == Kind::io_error ? EIO : ENOSPC;
    return true;
}

/// The whole of a call that is done or not.
template <class Call>
long simple(Op op, const char* name, const Path& path, const Call& call) {
    const Kind kind = decide(op, name, path);
    if (fails(kind)) return -1;
    const long result = call();
    if (kind == Kind::kill_after) die();
    return result;
}

/// Half of a write, where possible in whole pages, as what goes past the cache must be.
std::size_t half_of(std::size_t size) {
    constexpr std::size_t page = 4096;
    if (size >= 2 * page) return size / 2 / page * page;
    return size / 2;
}

/// `call(size)` writes so much of it.
template <class Call>
ssize_t write_some(const char* name, int fd, std::size_t size, const Call& call) {
    Path path;
    if (is_ruled()) path_of(fd, path);
    const Kind kind = decide(Op::write, name, path);
    if (fails(kind)) return -1;
    if (is_tracked(path)) account().on_change(fd);
    const bool halved = (kind == Kind::torn || kind == Kind::short_write) && size > 1;
    const auto result = static_cast<ssize_t>(call(halved ? half_of(size) : size));
    if (kind == Kind::torn || kind == Kind::kill_after) die();
    return result;
}

long write_vector(const char* name, int fd, const iovec* parts, int count, bool at, off_t offset) {
    std::size_t size = 0;
    for (int i = 0; i < count; ++i)
        size += parts[i].iov_len;
    return write_some(name, fd, size, [&](std::size_t wanted) {
        // Cut short, only the first part is written, and of a single one its beginning.
        iovec first = count > 0 ? parts[0] : iovec{};
        if (wanted < size) {
            if (count == 1) first.iov_len = wanted;
            return at ? pass(SYS_pwrite64, fd, first.iov_base, first.iov_len, offset)
                      : pass(SYS_write, fd, first.iov_base, first.iov_len);
        }
        return at ? pass(SYS_pwritev, fd, parts, count, offset, 0L)
                  : pass(SYS_writev, fd, parts, count);
    });
}

/// A call that makes a name, unless it is there, or empties what it names.
template <class Call>
long create(const char* name, const Path& path, const Call& call) {
    return simple(Op::create, name, path, [&] {
        if (!is_tracked(path)) return call();
        const bool was_there = pass(SYS_faccessat, AT_FDCWD, path.text, F_OK) == 0;
        account().on_change(path.text);
        const long result = call();
        if (result >= 0 && !was_there) account().on_made(path.text);
        return result;
    });
}

int open_file(int directory, const char* name, int flags, unsigned mode) {
    const auto call = [&] { return pass(SYS_openat, directory, name, flags, mode); };
    if ((flags & (O_CREAT | O_TRUNC)) == 0) return static_cast<int>(call());
    Path path;
    path_of(directory, name, path);
    return static_cast<int>(create("open", path, call));
}

unsigned mode_of(int flags, va_list list) {
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, unsigned) : 0;
}

int move_file(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
    Path path;
    path_of(to_at, to, path);
    return static_cast<int>(simple(Op::rename, "rename", path, [&] {
        const auto call = [&] { return pass(SYS_renameat2, from_at, from, to_at, to, flags); };
        if (!is_tracked(path)) return call();
        Path before;
        path_of(from_at, from, before);
        const int kept = account().keep(path.text);
        const long result = call();
        if (result == 0)
            account().on_moved(before.text, path.text, kept, (flags & RENAME_EXCHANGE) != 0);
        return result;
    }));
}

int remove_file(int directory, const char* name, int flags) {
    Path path;
    path_of(directory, name, path);
    return static_cast<int>(simple(Op::unlink, "unlink", path, [&] {
        const bool tracked = is_tracked(path);
        const int kept = tracked ? account().keep(path.text) : -1;
        const long result = pass(SYS_unlinkat, directory, name, flags);
        if (tracked && result == 0) account().on_removed(path.text, kept);
        return result;
    }));
}

int make_directory(int directory, const char* name, unsigned mode) {
    Path path;
    path_of(directory, name, path);
    return static_cast<int>(
        create("mkdir", path, [&] { return pass(SYS_mkdirat, directory, name, mode); }));
}

int on_descriptor(Op op, const char* name, int fd, long number) {
    Path path;
    if (is_ruled()) path_of(fd, path);
    return static_cast<int>(simple(op, name, path, [&] {
        const long result = pass(number, fd);
        if (result != 0 || !is_tracked(path)) return result;
        if (number == SYS_syncfs)
            account().on_all_synced();
        else
            account().on_synced(fd, path.text);
        return result;
    }));
}

int cut(int fd, off_t length) {
    Path path;
    if (is_ruled()) path_of(fd, path);
    return static_cast<int>(simple(Op::truncate, "ftruncate", path, [&] {
        if (is_tracked(path)) account().on_change(fd);
        return pass(SYS_ftruncate, fd, length);
    }));
}

int reserve(int fd, int mode, off_t offset, off_t length) {
    Path path;
    if (is_ruled()) path_of(fd, path);
    return static_cast<int>(simple(Op::truncate, "fallocate", path, [&] {
        if (is_tracked(path)) account().on_change(fd);
        return pass(SYS_fallocate, fd, mode, offset, length);
    }));
}

}  // namespace

// Under other names here, as the C library's headers declare these with attributes of their own.
#define FLOW29_STANDS_FOR(symbol) __asm__(#symbol)

extern "C" {

ssize_t fault_write(int fd, const void* data, std::size_t size) FLOW29_STANDS_FOR(write);
ssize_t fault_write(int fd, const void* data, std::size_t size) {
    return write_some("write", fd, size,
                      [&](std::size_t wanted) { return pass(SYS_write, fd, data, wanted); });
}

ssize_t fault_pwrite(int fd, const void* data, std::size_t size, off_t at)
    FLOW29_STANDS_FOR(pwrite);
ssize_t fault_pwrite(int fd, const void* data, std::size_t size, off_t at) {
    return write_some("pwrite", fd, size,
                      [&](std::size_t wanted) { return pass(SYS_pwrite64, fd, data, wanted, at); });
}
ssize_t fault_pwrite64(int fd, const void* data, std::size_t size, off_t at)
    FLOW29_STANDS_FOR(pwrite64);
ssize_t fault_pwrite64(int fd, const void* data, std::size_t size, off_t at) {
    return fault_pwrite(fd, data, size, at);
}

ssize_t fault_writev(int fd, const iovec* parts, int count) FLOW29_STANDS_FOR(writev);
ssize_t fault_writev(int fd, const iovec* parts, int count) {
    return write_vector("writev", fd, parts, count, false, 0);
}
ssize_t fault_pwritev(int fd, const iovec* parts, int count, off_t at) FLOW29_STANDS_FOR(pwritev);
ssize_t fault_pwritev(int fd, const iovec* parts, int count, off_t at) {
    return write_vector("pwritev", fd, parts, count, true, at);
}

int fault_fsync(int fd) FLOW29_STANDS_FOR(fsync);
int fault_fsync(int fd) {
    return on_descriptor(Op::sync, "fsync", fd, SYS_fsync);
}
int fault_fdatasync(int fd) FLOW29_STANDS_FOR(fdatasync);
int fault_fdatasync(int fd) {
    return on_descriptor(Op::sync, "fdatasync", fd, SYS_fdatasync);
}
int fault_syncfs(int fd) FLOW29_STANDS_FOR(syncfs);
int fault_syncfs(int fd) {
    return on_descriptor(Op::sync, "syncfs", fd, SYS_syncfs);
}

int fault_rename(const char* from, const char* to) FLOW29_STANDS_FOR(rename);
int fault_rename(const char* from, const char* to) {
    return move_file(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int fault_renameat(int from_at, const char* from, int to_at, const char* to)
    FLOW29_STANDS_FOR(renameat);
int fault_renameat(int from_at, const char* from, int to_at, const char* to) {
    return move_file(from_at, from, to_at, to, 0);
}
int fault_renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags)
    FLOW29_STANDS_FOR(renameat2);
int fault_renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
    return move_file(from_at, from, to_at, to, flags);
}

int fault_unlink(const char* name) FLOW29_STANDS_FOR(unlink);
int fault_unlink(const char* name) {
    return remove_file(AT_FDCWD, name, 0);
}
int fault_unlinkat(int directory, const char* name, int flags) FLOW29_STANDS_FOR(unlinkat);
int fault_unlinkat(int directory, const char* name, int flags) {
    return remove_file(directory, name, flags);
}
int fault_rmdir(const char* name) FLOW29_STANDS_FOR(rmdir);
int fault_rmdir(const char* name) {
    return remove_file(AT_FDCWD, name, AT_REMOVEDIR);
}
int fault_remove(const char* name) FLOW29_STANDS_FOR(remove);
int fault_remove(const char* name) {
    const int removed = fault_unlink(name);
    if (removed == 0 || errno != EISDIR) return removed;
    return fault_rmdir(name);
}

int fault_mkdir(const char* name, unsigned mode) FLOW29_STANDS_FOR(mkdir);
int fault_mkdir(const char* name, unsigned mode) {
    return make_directory(AT_FDCWD, name, mode);
}
int fault_mkdirat(int directory, const char* name, unsigned mode) FLOW29_STANDS_FOR(mkdirat);
int fault_mkdirat(int directory, const char* name, unsigned mode) {
    return make_directory(directory, name, mode);
}

int fault_ftruncate(int fd, off_t length) FLOW29_STANDS_FOR(ftruncate);
int fault_ftruncate(int fd, off_t length) {
    return cut(fd, length);
}
int fault_ftruncate64(int fd, off_t length) FLOW29_STANDS_FOR(ftruncate64);
int fault_ftruncate64(int fd, off_t length) {
    return cut(fd, length);
}
int fault_fallocate(int fd, int mode, off_t at, off_t length) FLOW29_STANDS_FOR(fallocate);
int fault_fallocate(int fd, int mode, off_t at, off_t length) {
    return reserve(fd, mode, at, length);
}
int fault_posix_fallocate(int fd, off_t at, off_t length) FLOW29_STANDS_FOR(posix_fallocate);
int fault_posix_fallocate(int fd, off_t at, off_t length) {
    return reserve(fd, 0, at, length) == 0 ? 0 : errno;
}
int fault_posix_fallocate64(int fd, off_t at, off_t length) FLOW29_STANDS_FOR(posix_fallocate64);
int fault_posix_fallocate64(int fd, off_t at, off_t length) {
    return fault_posix_fallocate(fd, at, length);
}

int fault_open(const char* name, int flags, ...) FLOW29_STANDS_FOR(open);
int fault_open(const char* name, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const unsigned mode = mode_of(flags, list);
    va_end(list);
    return open_file(AT_FDCWD, name, flags, mode);
}
int fault_open64(const char* name, int flags, ...) FLOW29_STANDS_FOR(open64);
int fault_open64(const char* name, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const unsigned mode = mode_of(flags, list);
    va_end(list);
    return open_file(AT_FDCWD, name, flags, mode);
}
int fault_openat(int directory, const char* name, int flags, ...) FLOW29_STANDS_FOR(openat);
int fault_openat(int directory, const char* name, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const unsigned mode = mode_of(flags, list);
    va_end(list);
    return open_file(directory, name, flags, mode);
}
int fault_openat64(int directory, const char* name, int flags, ...) FLOW29_STANDS_FOR(openat64);
int fault_openat64(int directory, const char* name, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const unsigned mode = mode_of(flags, list);
    va_end(list);
    return open_file(directory, name, flags, mode);
}

// For openat2, for which the C library has no function.
long fault_syscall(long number, ...) FLOW29_STANDS_FOR(syscall);
long fault_syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long arguments[6];
    for (long& argument : arguments)
        argument = va_arg(list, long);
    va_end(list);
    const auto call = [&] {
        return pass(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                    arguments[5]);
    };
    if (number != SYS_openat2 || !is_ruled()) return call();
    const auto* const how = reinterpret_cast<const open_how*>(arguments[2]);
    if ((how->flags & (O_CREAT | O_TRUNC)) == 0) return call();
    Path path;
    path_of(static_cast<int>(arguments[0]), reinterpret_cast<const char*>(arguments[1]), path);
    return create("openat2", path, call);
}

}  // extern "C"
