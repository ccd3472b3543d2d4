// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/folder.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>

#include <flow29/ids.hpp>
#include <flow29/limits.hpp>

#include "core/hash.hpp"

namespace flow29::node {

namespace fs = std::filesystem;

Result<int> LocalFolder::descriptor() {
    const std::lock_guard lock(mutex_);
    if (!directory_) directory_.reset(::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory_) return fail_errno(errno, path_.string());
    return directory_.get();
}

Result<core::UniqueFd> LocalFolder::open(const std::string& path, int flags, unsigned mode) {
    const auto directory = descriptor();
    if (!directory) return fail(directory.error());
    return open_beneath(*directory, path, flags, mode);
}

Result<std::shared_ptr<Folder>> LocalFolder::enter(const std::string& path) {
    auto inside = open(path, O_PATH | O_DIRECTORY, 0);
    if (!inside) return fail(inside.error());
    return std::make_shared<LocalFolder>(std::move(*inside));
}

Result<std::optional<struct stat>> LocalFolder::look(const std::string& path) {
    const auto directory = descriptor();
    if (!directory) return fail(directory.error());
    const auto slash = path.rfind('/');
    const auto above = slash == std::string::npos ? std::string() : path.substr(0, slash);
    const auto name = slash == std::string::npos ? path : path.substr(slash + 1);
    const auto parent = open_beneath(*directory, above, O_PATH | O_DIRECTORY);
    if (!parent) return fail(parent.error());
    // The parent's parent may be outside, and fstatat would not mind.
    if (name == "..") return fail_errno(EXDEV, path);
    struct stat facts {};
    if (::fstatat(parent->get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0)
        return std::optional(facts);
    if (errno == ENOENT) return std::optional<struct stat>();
    return fail_errno(errno, path);
}

Result<std::vector<FolderEntry>> LocalFolder::list(const std::string& path) {
    const auto directory = descriptor();
    if (!directory) return fail(directory.error());
    return list_beneath(*directory, path);
}

Result<void> LocalFolder::make_directories(const std::string& path) {
    const auto directory = descriptor();
    if (!directory) return fail(directory.error());
    return make_directories_beneath(*directory, path);
}

Result<void> LocalFolder::remove(const std::string& path) {
    const auto directory = descriptor();
    if (!directory) return fail(directory.error());
    return remove_beneath(*directory, path);
}

Result<void> LocalFolder::move(const std::string& from, const std::string& to,
                               Replacing replacing) {
    const auto directory = descriptor();
    if (!directory) return fail(directory.error());
    const unsigned flags = replacing == Replacing::nothing ? RENAME_NOREPLACE
                           : replacing == Replacing::swap  ? RENAME_EXCHANGE
                                                           : 0U;
    // Both in this very directory: a longer path could lead through a link.
    if (from.find('/') != std::string::npos || to.find('/') != std::string::npos)
        return fail(Errc::refused, from + ": only what is directly in the folder is moved");
    if (::renameat2(*directory, from.c_str(), *directory, to.c_str(), flags) == 0) return {};
    return fail_errno(errno, "moving " + from + " to " + to);
}

Result<void> LocalFolder::set_modified(const std::string& path, FileTime time) {
    const auto file = open(path, O_RDONLY | O_NONBLOCK, 0);
    if (!file) return fail(file.error());
    // Whoever asks may name any time, also one whose seconds are no number of nanoseconds.
    constexpr std::int64_t second = 1'000'000'000;
    const auto since = time.time_since_epoch().count();
    const auto rest = (since % second + second) % second;
    const std::array<timespec, 2> times{
        timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
        timespec{.tv_sec = since / second - (since % second < 0 ? 1 : 0), .tv_nsec = rest}};
    if (::futimens(file->get(), times.data()) != 0) return fail_errno(errno, path);
    return {};
}

Result<void> LocalFolder::sync() {
    auto readable = open({}, O_RDONLY | O_DIRECTORY, 0);
    if (!readable) return fail(readable.error());
    if (::fsync(readable->get()) != 0) return fail_errno(errno, "syncing the directory");
    return {};
}

uid_t LocalFolder::user() const {
    return ::geteuid();
}

NamedPlace place_in(const fs::path& path, std::shared_ptr<Folder> folder) {
    if (!folder) {
        auto parent = path.parent_path();
        folder = std::make_shared<LocalFolder>(parent.empty() ? fs::path(".") : std::move(parent));
    }
    return {std::move(folder), path.filename().string()};
}

bool is_readable_at(const fs::path& path, int fd) {
    const core::UniqueFd there(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat found {};
    struct stat meant {};
    return there && ::fstat(there.get(), &found) == 0 && ::fstat(fd, &meant) == 0 &&
           found.st_dev == meant.st_dev && found.st_ino == meant.st_ino;
}

std::string partial_name(const std::string& name) {
    constexpr std::string_view ending = ".flow29-part";
    constexpr std::size_t room = ending.size() + 4;  // ".log" comes after it
    constexpr std::size_t kept = 128;
    if (name.size() + room <= limits::path_component_bytes_max) return name + std::string(ending);
    const auto octets = reinterpret_cast<const std::uint8_t*>(name.data());
    const auto hash = core::sha256({ByteView(octets, name.size())});
    return name.substr(0, kept) + to_hex(ByteView(hash)).substr(0, 32) + std::string(ending);
}

std::string journal_name(const std::string& name) {
    return partial_name(name) + ".log";
}

}  // namespace flow29::node
