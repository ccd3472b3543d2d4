// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/source_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "cli/text.hpp"
#include "core/clock.hpp"
#include "core/printable.hpp"
#include "core/utf8.hpp"

namespace flow29::cli {
namespace {

constexpr std::size_t copy_bytes = 256 * 1024;

/// A file in `directory` that vanishes when closed, whatever becomes of this process.
Result<api::UniqueFd> nameless_file(const std::filesystem::path& directory) {
    api::UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd) return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
        return fail_errno(errno, "cannot make a temporary file in " + directory.string());
    std::string name = (directory / "spool-XXXXXX").string();
    fd.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (!fd) return fail_errno(errno, "cannot make a temporary file in " + directory.string());
    ::unlink(name.c_str());
    return fd;
}

Result<void> write_all(int fd, const char* data, std::size_t size) {
    while (size != 0) {
        const ssize_t count = ::write(fd, data, size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno(errno, "cannot write a temporary file");
        data += count;
        size -= static_cast<std::size_t>(count);
    }
    return {};
}

/// The last part of a path, also of one like "photos/" or "..".
std::string name_of(const std::filesystem::path& path) {
    const auto name = path.filename().string();
    if (!name.empty() && name != "." && name != "..") return name;
    std::error_code error;
    return std::filesystem::canonical(path, error).filename().string();
}

}  // namespace

Result<OpenSource> open_source(const std::string& path) {
    OpenSource opened;
    if (path == "-") {
        opened.fd.reset(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    } else {
        // A pipe that nobody writes to would hold this thread; poll() waits for one as well.
        opened.fd.reset(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        opened.source.path = path;
        opened.source.name = name_of(path);
    }
    if (!opened.fd) return fail_errno(errno, "cannot read " + path);
    struct stat facts {};
    if (::fstat(opened.fd.get(), &facts) != 0) return fail_errno(errno, "cannot read " + path);
    opened.is_directory = S_ISDIR(facts.st_mode);
    if (opened.is_directory && path == "-")
        return fail(Errc::usage, "standard input is a directory; name it instead");
    // Many devices never end; a pipe does.
    if (path != "-" && (S_ISCHR(facts.st_mode) || S_ISBLK(facts.st_mode)))
        return fail(Errc::usage, path + " is a device; to publish what it gives, pipe it into `-`");
    // Standard input may be a file of which a part has been read: only the rest is meant.
    const bool from_start = path != "-" || ::lseek(opened.fd.get(), 0, SEEK_CUR) == 0;
    opened.is_regular = S_ISREG(facts.st_mode) && from_start;
    if (opened.is_regular && facts.st_size == 0) {
        // What is below /proc says of itself that it is empty.
        char octet = 0;
        const auto count = ::pread(opened.fd.get(), &octet, 1, 0);
        if (count < 0) return fail_errno(errno, "cannot read " + path);
        opened.is_regular = count == 0;
    }
    if (opened.is_regular) opened.bytes = ByteCount(static_cast<std::uint64_t>(facts.st_size));
    return opened;
}

Result<void> spool(OpenSource& source, const std::filesystem::path& directory, Output& output,
                   Interrupt& interrupt) {
    auto target = nameless_file(directory);
    if (!target) return fail(target.error());
    std::vector<char> buffer(copy_bytes);
    ProgressEvent progress;
    progress.stage = "reading";
    TimePoint shown{};
    for (;;) {
        pollfd waited[] = {{source.fd.get(), POLLIN, 0}, {interrupt.fd(), POLLIN, 0}};
        if (::poll(waited, 2, 200) < 0 && errno != EINTR) return fail_errno(errno, "poll");
        if (interrupt.take()) return fail(Errc::interrupted, "interrupted");
        output.tick();
        if (waited[0].revents == 0) continue;
        const ssize_t count = ::read(source.fd.get(), buffer.data(), buffer.size());
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (count < 0) return fail_errno(errno, "cannot read the input");
        if (count == 0) break;
        if (const auto written =
                write_all(target->get(), buffer.data(), static_cast<std::size_t>(count));
            !written)
            return written;
        progress.done += ByteCount(static_cast<std::uint64_t>(count));
        if (core::monotonic_now() - shown < std::chrono::milliseconds(250)) continue;
        shown = core::monotonic_now();
        output.progress(progress, progress_line(progress));
    }
    if (::lseek(target->get(), 0, SEEK_SET) != 0)
        return fail_errno(errno, "cannot rewind a temporary file");
    source.fd = std::move(*target);
    source.bytes = progress.done;
    source.is_regular = true;
    return {};
}

Result<std::filesystem::path> absolute_path(const std::filesystem::path& path) {
    if (!core::is_utf8(path.string()))
        return fail(Errc::usage, "the path is not UTF-8: " + core::printable(path.string()) +
                                     "; under another name it can be used");
    std::error_code error;
    auto absolute = std::filesystem::absolute(path, error);
    if (error) return fail(Errc::file_error, path.string() + ": " + error.message());
    return absolute;
}

}  // namespace flow29::cli
