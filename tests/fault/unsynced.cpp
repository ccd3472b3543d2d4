// SPDX-License-Identifier: GPL-3.0-or-later
#include "unsynced.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <random>

namespace flow29::fault {

namespace fs = std::filesystem;

namespace {

std::string parent_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

std::string content_of(int fd) {
    std::string bytes;
    char some[65536];
    for (;;) {
        const ssize_t got = ::pread(fd, some, sizeof some, static_cast<off_t>(bytes.size()));
        if (got <= 0) return bytes;
        bytes.append(some, static_cast<std::size_t>(got));
    }
}

void write_at_once(int fd, const std::string& bytes) {
    if (::ftruncate(fd, 0) != 0) std::perror("ftruncate");
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t wrote =
            ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
        if (wrote <= 0) return std::perror("pwrite");
        done += static_cast<std::size_t>(wrote);
    }
}

}  // namespace

void Unsynced::on_change(int fd) {
    on_change("/proc/self/fd/" + std::to_string(fd));
}

void Unsynced::on_change(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return;
    const Inode inode{facts.st_dev, facts.st_ino};
    if (contents_.contains(inode)) return;
    // A descriptor of its own: the other may be for writing only, or be closed before it is undone.
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd >= 0) contents_.emplace(inode, Content{fd, content_of(fd)});
}

void Unsynced::on_made(const std::string& path) {
    names_.push_back({Name::Change::made, path, {}, -1});
}

int Unsynced::keep(const std::string& path) {
    return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

void Unsynced::on_removed(const std::string& path, int kept) {
    names_.push_back({Name::Change::removed, path, {}, kept});
}

void Unsynced::on_moved(const std::string& from, const std::string& to, int kept, bool exchanged) {
    names_.push_back({exchanged ? Name::Change::exchanged : Name::Change::moved, to, from, kept});
}

void Unsynced::on_synced(int fd, const std::string& path) {
    struct stat facts {};
    if (::fstat(fd, &facts) != 0) return;
    if (const auto found = contents_.find({facts.st_dev, facts.st_ino}); found != contents_.end()) {
        ::close(found->second.fd);
        contents_.erase(found);
    }
    if (!S_ISDIR(facts.st_mode)) return;
    std::vector<Name> left;
    for (std::size_t i = 0; i < names_.size(); ++i) {
        Name& name = names_[i];
        if (parent_of(name.path) != path) {
            left.push_back(std::move(name));
            continue;
        }
        if (name.kept >= 0) ::close(name.kept);
        // What was made below it under its former name is below its new one for good.
        if (name.change != Name::Change::moved) continue;
        for (Name& earlier : left)
            if (earlier.path.starts_with(name.from + "/"))
                earlier.path.replace(0, name.from.size(), name.path);
    }
    names_ = std::move(left);
}

void Unsynced::on_all_synced() {
    for (const auto& [inode, content] : contents_)
        ::close(content.fd);
    contents_.clear();
    for (const Name& name : names_)
        if (name.kept >= 0) ::close(name.kept);
    names_.clear();
}

void Unsynced::restore(const Content& content) {
    write_at_once(content.fd, content.bytes);
}

void Unsynced::undo(const Name& name) {
    std::error_code ignored;
    if (name.change == Name::Change::made) fs::remove_all(name.path, ignored);
    if (name.change == Name::Change::exchanged)
        (void)::renameat2(AT_FDCWD, name.path.c_str(), AT_FDCWD, name.from.c_str(),
                          RENAME_EXCHANGE);
    if (name.change == Name::Change::moved) (void)::rename(name.path.c_str(), name.from.c_str());
    if (name.kept < 0 || name.change == Name::Change::exchanged) return;
    struct stat facts {};
    if (::fstat(name.kept, &facts) != 0) return;
    if (S_ISDIR(facts.st_mode)) {
        fs::create_directory(name.path, ignored);
        return;
    }
    const int fd = ::open(name.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, facts.st_mode & 0777);
    if (fd < 0) return;
    write_at_once(fd, content_of(name.kept));
    ::close(fd);
}

void Unsynced::undo() {
    for (const auto& [inode, content] : contents_)
        restore(content);
    for (auto name = names_.rbegin(); name != names_.rend(); ++name)
        undo(*name);
}

void Unsynced::undo_some(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (const auto& [inode, content] : contents_)
        if (random() % 2 == 0) restore(content);
    const std::size_t count = random() % (names_.size() + 1);
    for (std::size_t i = 0; i < count; ++i)
        undo(names_[names_.size() - 1 - i]);
}

}  // namespace flow29::fault
