// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/source.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "node/directory_source.hpp"

namespace flow29::node {

namespace {

/// What changes when a file does.
struct FileFacts {
    ByteCount length;
    std::int64_t modified_ns = 0;
    std::uint64_t inode = 0;
    bool operator==(const FileFacts&) const = default;
};

FileFacts facts_of(const struct stat& status) {
    return {ByteCount(static_cast<std::uint64_t>(status.st_size)),
            std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
            status.st_ino};
}

class FileSource final : public Source {
  public:
    FileSource(int fd, FileFacts before) : fd_(fd), before_(before) {}

    [[nodiscard]] ObjectKind kind() const override { return ObjectKind::file; }
    [[nodiscard]] ByteCount length() const override { return before_.length; }
    [[nodiscard]] Result<void> read(std::uint64_t offset,
                                    std::span<std::uint8_t> out) const override {
        return read_exactly(fd_, offset, out);
    }
    [[nodiscard]] Result<void> check_unchanged() const override {
        struct stat status {};
        if (::fstat(fd_, &status) != 0) return fail_errno(errno, "looking at the source");
        if (facts_of(status) != before_) return fail(Errc::refused, changed_text);
        return {};
    }

  private:
    int fd_;  // the caller's
    FileFacts before_;
};

}  // namespace

Result<std::unique_ptr<Source>> open_source(int fd, bool has_times) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return fail_errno(errno, "looking at the source");
    if (S_ISREG(status.st_mode)) {
        if (has_times) return fail(Errc::usage, no_time_text);
        // As in /proc: what is in it is made while it is read.
        std::uint8_t octet = 0;
        if (status.st_size == 0 && ::pread(fd, &octet, 1, 0) > 0)
            return fail(Errc::usage,
                        "its size is not known before it is read; `flow29 publish -` takes it "
                        "from standard input");
        return std::make_unique<FileSource>(fd, facts_of(status));
    }
    if (!S_ISDIR(status.st_mode))
        return fail(Errc::usage, "the source is neither a regular file nor a directory");
    auto directory = DirectorySource::scan(fd, has_times);
    if (!directory) return fail(directory.error());
    return std::unique_ptr<Source>(std::move(*directory));
}

Result<void> read_exactly(int fd, std::uint64_t offset, std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        const auto got =
            ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, "reading the source");
        if (got == 0) return fail(Errc::refused, changed_text);
        done += static_cast<std::size_t>(got);
    }
    return {};
}

}  // namespace flow29::node
