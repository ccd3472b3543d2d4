// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/beneath.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "core/manifest.hpp"
#include "core/printable.hpp"

namespace flow29::node {

namespace {
using core::UniqueFd;

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using OpenDirectory = std::unique_ptr<DIR, CloseDirectory>;

constexpr unsigned attempts_max = 8;

tl::unexpected<Error> failed(int errnum, const std::string& path) {
    return fail_errno(errnum, core::printable(path.empty() ? "the directory" : path));
}

std::string joined(const std::string& directory, std::string_view name) {
    std::string path = directory;
    if (!path.empty()) path += '/';
    path += name;
    return path;
}

/// The directory that a path's last part is in, open, and that part.
struct Place {
    UniqueFd parent;
    std::string name;
};
Result<Place> place_of(int directory, const std::string& path) {
    const auto slash = path.rfind('/');
    const auto above = slash == std::string::npos ? std::string() : path.substr(0, slash);
    auto parent = open_beneath(directory, above, O_PATH | O_DIRECTORY);
    if (!parent) return fail(parent.error());
    return Place{std::move(*parent), path.substr(slash == std::string::npos ? 0 : slash + 1)};
}

/// The names in an open directory.
Result<std::vector<std::string>> names_in(UniqueFd fd, const std::string& path) {
    const OpenDirectory listing(::fdopendir(fd.get()));
    if (!listing) return failed(errno, path);
    static_cast<void>(fd.release());  // the listing's now
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const dirent* const entry = ::readdir(listing.get());
        if (entry == nullptr && errno != 0) return failed(errno, path);
        if (entry == nullptr) return names;
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
}
}  // namespace

Result<UniqueFd> open_beneath(int directory, const std::string& path, int flags, unsigned mode) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC | O_NOFOLLOW);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    const char* const name = path.empty() ? "." : path.c_str();
    // EAGAIN: something was renamed meanwhile, and the kernel could not tell whether it is beneath.
    for (unsigned attempt = 0;; ++attempt) {
        const auto fd = ::syscall(SYS_openat2, directory, name, &how, sizeof how);
        if (fd >= 0) return UniqueFd(static_cast<int>(fd));
        if ((errno != EAGAIN && errno != EINTR) || attempt == attempts_max)
            return failed(errno, path);
    }
}

Result<void> make_directories_beneath(int directory, const std::string& path) {
    for (std::size_t end = 0; end != std::string::npos;) {
        end = path.find('/', end + 1);
        const auto upto = path.substr(0, end);
        const auto place = place_of(directory, upto);
        if (!place) return fail(place.error());
        if (::mkdirat(place->parent.get(), place->name.c_str(), 0777) != 0 && errno != EEXIST)
            return failed(errno, upto);
    }
    return {};
}

Result<void> remove_beneath(int directory, const std::string& path) {
    const auto place = place_of(directory, path);
    if (!place) return fail(place.error());
    if (::unlinkat(place->parent.get(), place->name.c_str(), 0) == 0) return {};
    if (errno != EISDIR && errno != EPERM) return failed(errno, path);
    auto inside = open_beneath(place->parent.get(), place->name, O_RDONLY | O_DIRECTORY);
    if (!inside) return fail(inside.error());
    const auto names = names_in(std::move(*inside), path);
    if (!names) return fail(names.error());
    for (const auto& name : *names)
        if (auto gone = remove_beneath(directory, joined(path, name)); !gone) return gone;
    if (::unlinkat(place->parent.get(), place->name.c_str(), AT_REMOVEDIR) != 0)
        return failed(errno, path);
    return {};
}

Result<std::vector<FolderEntry>> list_beneath(int directory, const std::string& path) {
    auto opened = open_beneath(directory, path, O_RDONLY | O_DIRECTORY);
    if (!opened) return fail(opened.error());
    const int fd = opened->get();
    // A second descriptor, because the listing takes the first one along.
    auto listed = open_beneath(fd, {}, O_RDONLY | O_DIRECTORY);
    if (!listed) return fail(listed.error());
    auto names = names_in(std::move(*listed), path);
    if (!names) return fail(names.error());
    std::vector<FolderEntry> entries;
    entries.reserve(names->size());
    for (auto& name : *names) {
        FolderEntry entry{std::move(name), {}};
        if (::fstatat(fd, entry.name.c_str(), &entry.facts, AT_SYMLINK_NOFOLLOW) != 0)
            return failed(errno, joined(path, entry.name));
        entries.push_back(std::move(entry));
    }
    return entries;
}

Result<void> walk(const ListFn& list, const VisitFn& visit) {
    std::vector<std::string> waiting{std::string()};
    while (!waiting.empty()) {
        const auto above = std::move(waiting.back());
        waiting.pop_back();
        const auto entries = list(above);
        if (!entries) return fail(entries.error());
        for (const auto& [name, facts] : *entries) {
            auto path = joined(above, name);
            const auto wanted = visit(path, facts);
            if (!wanted) return fail(wanted.error());
            if (*wanted && S_ISDIR(facts.st_mode)) waiting.push_back(std::move(path));
        }
    }
    return {};
}

Result<void> walk_beneath(int directory, const VisitFn& visit) {
    return walk([directory](const std::string& path) { return list_beneath(directory, path); },
                visit);
}

}  // namespace flow29::node
