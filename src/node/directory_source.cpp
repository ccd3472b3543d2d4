// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/directory_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

#include <flow29/limits.hpp>

#include "core/printable.hpp"

namespace flow29::node {

namespace {

/// What somebody may have put into a directory and no manifest can say: the first of it by
/// name is named, in whatever order it is found, and the rest counted.
class Unfit {
  public:
    void add(std::string why) {
        named_.insert(std::move(why));
        if (named_.size() > named_max) named_.erase(std::prev(named_.end()));
        ++count_;
    }
    void add(const std::string& path, const struct stat& facts) {
        const char* const what = S_ISLNK(facts.st_mode)    ? "a symbolic link"
                                 : S_ISFIFO(facts.st_mode) ? "a named pipe"
                                 : S_ISSOCK(facts.st_mode) ? "a socket"
                                                           : "a device";
        add(fmt::format("\"{}\" is {}, and no file or directory", core::printable(path), what));
    }
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] Error error() const {
        std::string text = fmt::format("{} in it cannot be published; rename or remove {}:",
                                       count_ == 1 ? "one thing" : fmt::format("{} things", count_),
                                       count_ == 1 ? "it" : "them");
        for (const auto& why : named_)
            text += "\n" + why;
        if (count_ > named_.size()) text += fmt::format("\nand {} more", count_ - named_.size());
        return {Errc::refused, std::move(text)};
    }

  private:
    static constexpr std::size_t named_max = 10;

    std::set<std::string> named_;
    std::size_t count_ = 0;
};

/// What is before 1970, or after what can be said, is of the first or last moment of that.
FileTime modified_at(const struct stat& facts) {
    using Limit = std::chrono::duration<std::int64_t>;
    constexpr auto last = std::chrono::floor<Limit>(std::chrono::nanoseconds::max());
    const Limit whole(facts.st_mtim.tv_sec);
    if (whole < Limit::zero()) return FileTime();
    if (whole >= last) return FileTime(last);
    return FileTime(whole + std::chrono::nanoseconds(facts.st_mtim.tv_nsec));
}

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

}  // namespace

DirectorySource::DirectorySource(std::shared_ptr<Folder> folder, bool has_times, Tree tree)
    : folder_(std::move(folder)),
      has_times_(has_times),
      tree_(std::move(tree)),
      encoded_(tree_.manifest.encode()),
      files_([this](std::size_t index) { return open(index); }) {}

DirectorySource::Facts DirectorySource::facts_of(const struct stat& status) {
    return {status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ino};
}

Result<DirectorySource::Tree> DirectorySource::look(Folder& folder, bool has_times) {
    std::vector<DirectoryEntry> entries;
    std::map<std::string, Facts> facts;
    std::map<std::string, bool> has_contents;  // of each directory but the first
    Unfit unfit;
    const VisitFn visit = [&](const std::string& path, const struct stat& status) -> Result<bool> {
        const auto seen = entries.size() + has_contents.size() + unfit.count();
        if (seen > 2 * limits::manifest_entries_max)
            return fail(Errc::refused, fmt::format("there are more than {} files in it",
                                                   limits::manifest_entries_max));
        // Checked here, so that nothing is looked for below a name that cannot be used.
        if (auto good = core::check_path(path); !good) {
            unfit.add(std::move(good.error().context));
            return false;
        }
        has_contents[directory_of(path)] = true;
        if (S_ISDIR(status.st_mode)) {
            has_contents.emplace(path, false);
            return true;
        }
        if (!S_ISREG(status.st_mode)) {
            unfit.add(path, status);
            return false;
        }
        const bool executable = (status.st_mode & S_IXUSR) != 0;
        entries.push_back({path, executable ? EntryType::executable : EntryType::file,
                           ByteCount(static_cast<std::uint64_t>(status.st_size)),
                           has_times ? std::optional(modified_at(status)) : std::nullopt});
        facts.emplace(path, facts_of(status));
        return false;
    };
    const ListFn list = [&folder](const std::string& path) { return folder.list(path); };
    if (auto walked = walk(list, visit); !walked) return fail(walked.error());
    if (unfit.count() > 0) return fail(unfit.error());
    for (const auto& [path, used] : has_contents)
        if (!used && !path.empty())
            entries.push_back({path, EntryType::empty_directory, ByteCount(0)});
    auto manifest = core::Manifest::make(std::move(entries));
    if (!manifest) return fail(manifest.error());
    Tree tree{std::move(*manifest), {}};
    for (const auto& entry : tree.manifest.entries()) {
        const auto known = facts.find(entry.path);
        tree.facts.push_back(known == facts.end() ? Facts{} : known->second);
    }
    return tree;
}

Result<std::unique_ptr<DirectorySource>> DirectorySource::scan(std::shared_ptr<Folder> folder,
                                                               bool has_times) {
    auto tree = look(*folder, has_times);
    if (!tree) return fail(tree.error());
    return std::unique_ptr<DirectorySource>(
        new DirectorySource(std::move(folder), has_times, std::move(*tree)));
}

Result<std::unique_ptr<DirectorySource>> DirectorySource::scan(int fd, bool has_times) {
    core::UniqueFd own(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!own) return fail_errno(errno, "looking at the source");
    return scan(std::make_shared<LocalFolder>(std::move(own)), has_times);
}

Result<core::UniqueFd> DirectorySource::open(std::size_t index) const {
    auto opened = folder_->open(tree_.manifest.entries()[index].path, O_RDONLY | O_NONBLOCK);
    if (!opened) return opened;
    struct stat status {};
    if (::fstat(opened->get(), &status) != 0) return fail_errno(errno, "looking at the source");
    if (!S_ISREG(status.st_mode) || facts_of(status) != tree_.facts[index])
        return fail(Errc::refused, changed_text);
    return opened;
}

Result<void> DirectorySource::read_file(std::size_t index, std::uint64_t offset,
                                        std::span<std::uint8_t> out) const {
    if (out.size() == tree_.manifest.entries()[index].length.value) {
        const auto once = open(index);
        if (!once) return fail(once.error());
        return read_exactly(once->get(), 0, out);
    }
    const auto file = files_.get(index);
    if (!file) return fail(file.error());
    return read_exactly((*file)->get(), offset, out);
}

Result<void> DirectorySource::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
    const ReadFileFn read_one = [this](std::size_t index, std::uint64_t at,
                                       std::span<std::uint8_t> into) {
        return read_file(index, at, into);
    };
    return read_packed(tree_.manifest, encoded_, offset, out, read_one);
}

Result<void> DirectorySource::check_unchanged() const {
    const auto now = look(*folder_, has_times_);
    if (!now) return fail(now.error());
    if (now->manifest.entries() != tree_.manifest.entries() || now->facts != tree_.facts)
        return fail(Errc::refused, changed_text);
    return {};
}

Result<void> read_packed(const core::Manifest& manifest, ByteView encoded, std::uint64_t offset,
                         std::span<std::uint8_t> out, const ReadFileFn& read_file) {
    if (offset < encoded.size() && !out.empty()) {
        const auto part = encoded.subspan(offset, std::min(encoded.size() - offset, out.size()));
        std::copy(part.begin(), part.end(), out.begin());
        offset += part.size();
        out = out.subspan(part.size());
    }
    for (auto i = manifest.at_or_after(ByteCount(offset)); !out.empty(); ++i) {
        const bool ended = i == manifest.entries().size();
        const auto place = ended ? ByteRange{} : manifest.place(i);
        if (!ended && place.empty()) continue;
        const auto gap =
            ended ? out.size() : std::min(out.size(), std::max(place.first.value, offset) - offset);
        std::fill_n(out.begin(), gap, std::uint8_t{0});
        out = out.subspan(gap);
        offset += gap;
        if (ended || out.empty()) return {};
        const auto part = out.first(std::min(out.size(), place.last.value - offset));
        if (auto read = read_file(i, offset - place.first.value, part); !read) return read;
        out = out.subspan(part.size());
        offset += part.size();
    }
    return {};
}

}  // namespace flow29::node
