// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/small_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "core/unique_fd.hpp"

namespace flow29::core {
namespace {

constexpr int pipe_patience_ms = 5'000;

Result<std::string> read_all(int fd, const std::string& name) {
    std::string text(small_file_bytes_max + 1, '\0');
    std::size_t used = 0;
    while (used < text.size()) {
        const ssize_t got = ::read(fd, text.data() + used, text.size() - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) {
            // Of a pipe whose other end writes; it is waited for, and not for ever.
            pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
            if (::poll(&waiting, 1, pipe_patience_ms) > 0) continue;
            return fail(Errc::file_error, name + " is a pipe into which nobody writes");
        }
        if (got < 0) return fail_errno(errno, "reading " + name);
        if (got == 0) break;
        used += static_cast<std::size_t>(got);
    }
    if (used > small_file_bytes_max)
        return fail(Errc::file_error,
                    fmt::format("{} is longer than the {} bytes that such a file may have", name,
                                small_file_bytes_max));
    text.resize(used);
    return text;
}

Result<void> write_all(int fd, std::string_view text, const std::string& name) {
    while (!text.empty()) {
        const ssize_t put = ::write(fd, text.data(), text.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail_errno(errno, "writing " + name);
        text.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
}

}  // namespace

Result<std::optional<SmallFile>> read_small_file(const std::filesystem::path& path) {
    const std::string name = path.string();
    const UniqueFd file(::open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!file && errno == ENOENT) return std::optional<SmallFile>();
    if (!file) return fail_errno(errno, "opening " + name);
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) return fail_errno(errno, "looking at " + name);
    auto text = read_all(file.get(), name);
    if (!text) return fail(text.error());
    return std::optional<SmallFile>({std::move(*text), facts.st_mode & 0777U});
}

/// Temporary, sync, rename, sync of the directory: after a power cut the file is absent or whole.
Result<void> write_small_file(const std::filesystem::path& path, std::string_view text) {
    const std::string temporary = path.string() + ".new";
    ::unlink(temporary.c_str());  // what a crash left behind
    const UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) return fail_errno(errno, "creating " + temporary);
    auto written = write_all(file.get(), text, temporary);
    if (written && ::fsync(file.get()) != 0) written = fail_errno(errno, "syncing " + temporary);
    if (written && ::rename(temporary.c_str(), path.c_str()) != 0)
        written = fail_errno(errno, "renaming " + temporary);
    if (!written) {
        ::unlink(temporary.c_str());
        return written;
    }
    const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    const UniqueFd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0)
        return fail_errno(errno, "syncing " + parent.string());
    return {};
}

}  // namespace flow29::core
