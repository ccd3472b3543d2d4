// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/manifest.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include <flow29/limits.hpp>

#include "core/assert.hpp"
#include "core/layout.hpp"
#include "core/pack.hpp"
#include "core/printable.hpp"

namespace flow29::core {
namespace {

constexpr std::uint64_t version_without_times = 1;
constexpr std::uint64_t version_with_times = 2;
constexpr std::size_t entry_fields_min = 3;  // one more where there are times
constexpr std::size_t entry_bytes_min = 6;   // three heads, an octet of path, type and length

std::uint64_t to_border(std::uint64_t offset) {
    constexpr auto chunk = limits::chunk_bytes;
    return (offset + chunk - 1) / chunk * chunk;
}

std::uint64_t big_endian(ByteView octets) {
    std::uint64_t value = 0;
    for (const std::uint8_t octet : octets)
        value = value << 8 | octet;
    return value;
}

/// Reads the msgpack of a manifest item after item: a tree of the whole, as Document makes it,
/// would take twenty times the memory of what a stranger sent.
class Cursor {
  public:
    explicit Cursor(ByteView data) : left_(data) {}

    std::size_t array(std::size_t items_max) {
        const auto head = octet();
        std::uint64_t count = head & 0x0fU;
        if (head == 0xdc || head == 0xdd)
            count = big_endian(take(head == 0xdc ? 2 : 4));
        else if ((head & 0xf0U) != 0x90)
            ok_ = false;
        ok_ = ok_ && count <= items_max;
        return ok_ ? static_cast<std::size_t>(count) : 0;
    }
    std::uint64_t uint(std::uint64_t max) {
        const auto head = octet();
        std::uint64_t value = head;
        if (head >= 0xcc && head <= 0xcf)
            value = big_endian(take(std::size_t{1} << (head - 0xccU)));
        else if (head >= 0x80)
            ok_ = false;
        ok_ = ok_ && value <= max;
        return ok_ ? value : 0;
    }
    ByteView bin(std::size_t bytes_max) {
        const auto head = octet();
        ok_ = ok_ && head >= 0xc4 && head <= 0xc6;
        if (!ok_) return {};
        const auto size = big_endian(take(std::size_t{1} << (head - 0xc4U)));
        ok_ = ok_ && size <= bytes_max;
        return take(ok_ ? static_cast<std::size_t>(size) : 0);
    }
    [[nodiscard]] std::size_t left() const { return left_.size(); }
    [[nodiscard]] bool ok() const { return ok_; }

  private:
    std::uint8_t octet() {
        const auto one = take(1);
        return one.empty() ? 0xc1 : one.front();  // 0xc1 begins nothing
    }
    ByteView take(std::size_t size) {
        ok_ = ok_ && size <= left_.size();
        if (!ok_) return {};
        const auto taken = left_.first(size);
        left_ = left_.subspan(size);
        return taken;
    }

    ByteView left_;
    bool ok_ = true;
};

tl::unexpected<Error> malformed(std::string_view why) {
    return fail(Errc::refused, fmt::format("it is no directory of version {} or {}: {}",
                                           version_without_times, version_with_times, why));
}

tl::unexpected<Error> bad_path(std::string_view path, std::string_view why) {
    return fail(Errc::refused,
                fmt::format("\"{}\" cannot be a path in a directory: {}", printable(path), why));
}

std::size_t fields_of(std::uint64_t version) {
    return entry_fields_min + (version == version_with_times ? 1 : 0);
}

bool is_unsafe(char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 0x20 || octet == 0x7f;
}

}  // namespace

Result<void> check_path(std::string_view path) {
    if (path.empty()) return bad_path(path, "it is empty");
    if (path.size() > limits::path_bytes_max)
        return bad_path(path, fmt::format("it has more than {} bytes", limits::path_bytes_max));
    if (path.front() == '/') return bad_path(path, "it is absolute");
    if (std::any_of(path.begin(), path.end(), is_unsafe))
        return bad_path(path, "it has a control character");
    if (path.find('\\') != std::string_view::npos)
        return bad_path(path, "it has a backslash, which separates directories elsewhere");
    for (std::size_t begin = 0; begin <= path.size();) {
        const auto end = std::min(path.find('/', begin), path.size());
        const auto part = path.substr(begin, end - begin);
        if (part.empty()) return bad_path(path, "a part of it is empty");
        if (part == "." || part == "..")
            return bad_path(path, fmt::format("\"{}\" is a part of it", part));
        if (part.size() > limits::path_component_bytes_max)
            return bad_path(path, fmt::format("a part of it has more than {} bytes",
                                              limits::path_component_bytes_max));
        begin = end + 1;
    }
    return {};
}

unsigned default_directory_level(ByteCount length) {
    constexpr std::uint64_t extents_wanted = 96;
    auto level = default_extent_level(length);
    while (level < limits::extent_level_max && Layout(length, level).extents() > extents_wanted)
        ++level;
    return level;
}

Manifest::Manifest(std::vector<DirectoryEntry> entries) : entries_(std::move(entries)) {
    place_files(encode().size());
}

void Manifest::place_files(std::uint64_t manifest_bytes) {
    manifest_bytes_ = manifest_bytes;
    offsets_.clear();
    offsets_.reserve(entries_.size() + 1);
    auto at = manifest_bytes;
    for (const auto& entry : entries_) {
        if (entry.length.value > 0) at = to_border(at);
        offsets_.push_back(at);
        at += entry.length.value;
    }
    offsets_.push_back(at);
}

Result<void> Manifest::check() const {
    if (entries_.size() > limits::manifest_entries_max)
        return fail(Errc::refused, fmt::format("{} entries are more than a directory can have ({})",
                                               entries_.size(), limits::manifest_entries_max));
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        const auto& path = entries_[i].path;
        if (auto good = check_path(path); !good) return good;
        if (i == 0 || entries_[i - 1].path < path) continue;
        return bad_path(path, entries_[i - 1].path == path ? "it is there twice"
                                                           : "it is not in the order of paths");
    }
    if (const auto count = directories({0, entries_.size()});
        count > limits::manifest_directories_max)
        return fail(Errc::refused,
                    fmt::format("its paths lie in {} directories, and {} are the most", count,
                                limits::manifest_directories_max));
    std::uint64_t sum = 0;
    for (const auto& entry : entries_) {
        const auto inside = below(entry.path);
        if (!inside.empty())
            return bad_path(entry.path, fmt::format("\"{}\" has it as a directory",
                                                    printable(entries_[inside.first].path)));
        const auto length = entry.length.value;
        if (entry.type == EntryType::empty_directory && length != 0)
            return bad_path(entry.path, "it is an empty directory and has a length");
        if (length <= limits::object_bytes_max) sum += to_border(length);
        if (length > limits::object_bytes_max || sum > limits::object_bytes_max)
            return fail(Errc::refused, "its files are more than an object can hold");
    }
    return check_times();
}

std::size_t Manifest::directories(Span span) const {
    std::size_t count = 0;
    std::string_view before;
    for (auto i = span.first; i < span.last; ++i) {
        const std::string_view path = entries_[i].path;
        // What lies in a directory is in one piece, so one that the path before did not lie in is
        // new.
        const auto differ = std::ranges::mismatch(path, before).in1;
        count += static_cast<std::size_t>(std::count(differ, path.end(), '/'));
        if (entries_[i].type == EntryType::empty_directory) ++count;
        before = path;
    }
    return count;
}

bool Manifest::has_times() const {
    return std::ranges::any_of(entries_, &std::optional<FileTime>::has_value,
                               &DirectoryEntry::modified);
}

Result<void> Manifest::check_times() const {
    if (!has_times()) return {};
    for (const auto& entry : entries_) {
        const bool is_file = entry.type != EntryType::empty_directory;
        if (is_file != entry.modified.has_value())
            return bad_path(entry.path, is_file ? "others have a time and it has none"
                                                : "it is an empty directory and has a time");
        if (entry.modified && *entry.modified < FileTime())
            return bad_path(entry.path, "its time is before 1970");
    }
    return {};
}

Result<Manifest> Manifest::make(std::vector<DirectoryEntry> entries) {
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    Manifest manifest;
    manifest.entries_ = std::move(entries);
    if (auto good = manifest.check(); !good) return fail(good.error());
    const auto bytes = manifest.encode().size();
    if (bytes > limits::manifest_bytes_max)
        return fail(Errc::refused, fmt::format("its paths take {} bytes and may take {}", bytes,
                                               limits::manifest_bytes_max));
    manifest.place_files(bytes);
    return manifest;
}

Result<ByteCount> Manifest::encoded_bytes(ByteView head, ByteCount object_length) {
    if (head.size() < head_bytes || object_length.value < head_bytes)
        return malformed("it is too short");
    const auto packed = big_endian(head.first(head_bytes));
    if (packed > limits::manifest_bytes_max - head_bytes)
        return malformed(fmt::format("its manifest would have {} bytes", packed));
    if (packed > object_length.value - head_bytes)
        return malformed("its manifest would be longer than all of it");
    return ByteCount(head_bytes + packed);
}

Result<Manifest> Manifest::decode(ByteView raw, ByteCount object_length) {
    const auto bytes = encoded_bytes(raw, object_length);
    if (!bytes) return fail(bytes.error());
    if (bytes->value != raw.size()) return malformed("its manifest has another length");
    Cursor cursor(raw.subspan(head_bytes));
    const bool has_both = cursor.array(2) == 2;
    const auto version = cursor.uint(~std::uint64_t{0});
    if (!has_both || (version != version_without_times && version != version_with_times))
        return malformed("its manifest says so");
    const auto count = cursor.array(limits::manifest_entries_max);
    if (!cursor.ok() || count > cursor.left() / entry_bytes_min)
        return malformed("its number of entries is impossible");
    Manifest manifest;
    manifest.entries_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        if (cursor.array(fields_of(version)) != fields_of(version)) break;
        const auto path = cursor.bin(limits::path_bytes_max);
        const auto type = cursor.uint(static_cast<std::uint64_t>(EntryType::empty_directory));
        const auto length = cursor.uint(limits::object_bytes_max);
        DirectoryEntry entry{std::string(path.begin(), path.end()), static_cast<EntryType>(type),
                             ByteCount(length)};
        if (version == version_with_times) {
            const auto time = cursor.uint(std::numeric_limits<std::int64_t>::max());
            const FileTime modified{std::chrono::nanoseconds(static_cast<std::int64_t>(time))};
            if (entry.type != EntryType::empty_directory) entry.modified = modified;
        }
        if (!cursor.ok()) break;
        manifest.entries_.push_back(std::move(entry));
    }
    if (!cursor.ok() || manifest.entries_.size() != count || cursor.left() != 0)
        return malformed("an entry is malformed");
    if (auto good = manifest.check(); !good) return fail(good.error());
    const auto again = manifest.encode();
    if (!std::equal(again.begin(), again.end(), raw.begin(), raw.end()))
        return malformed("it is not encoded in the one way there is");
    manifest.place_files(raw.size());
    if (manifest.object_length() != object_length)
        return malformed(fmt::format("its entries make {} bytes and it has {}",
                                     manifest.object_length().value, object_length.value));
    return manifest;
}

Bytes Manifest::encode() const {
    const auto version = has_times() ? version_with_times : version_without_times;
    Packer packer;
    packer.array(2).uint(version).array(entries_.size());
    for (const auto& entry : entries_) {
        const auto* const path = reinterpret_cast<const std::uint8_t*>(entry.path.data());
        packer.array(fields_of(version))
            .bin({path, entry.path.size()})
            .uint(static_cast<std::uint64_t>(entry.type))
            .uint(entry.length.value);
        if (version == version_without_times) continue;
        const auto time = entry.modified.value_or(FileTime()).time_since_epoch();
        packer.uint(static_cast<std::uint64_t>(time.count()));
    }
    const auto packed = packer.take();
    Bytes out;
    out.reserve(head_bytes + packed.size());
    for (unsigned shift = 64; shift > 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(packed.size() >> (shift - 8)));
    out.insert(out.end(), packed.begin(), packed.end());
    return out;
}

ByteRange Manifest::place(std::size_t index) const {
    FLOW29_ASSERT(index < entries_.size());
    const ByteCount first(offsets_[index]);
    return {first, first + entries_[index].length};
}

ByteRange Manifest::place(Span span) const {
    ByteRange range;
    for (auto i = span.first; i < span.last; ++i) {
        if (entries_[i].length.value == 0) continue;
        if (range.empty()) range.first = place(i).first;
        range.last = place(i).last;
    }
    return range;
}

ByteCount Manifest::object_length() const {
    return ByteCount(offsets_.back());
}

std::optional<std::size_t> Manifest::find(std::string_view path) const {
    const auto at = std::lower_bound(
        entries_.begin(), entries_.end(), path,
        [](const DirectoryEntry& entry, std::string_view wanted) { return entry.path < wanted; });
    if (at == entries_.end() || at->path != path) return std::nullopt;
    return static_cast<std::size_t>(at - entries_.begin());
}

Manifest::Span Manifest::below(std::string_view path) const {
    if (path.empty()) return {0, entries_.size()};
    // Everything that begins with "path/" stands between "path/" and "path0".
    const auto position = [this, path](char end) {
        std::string bound(path);
        bound += end;
        const auto at =
            std::lower_bound(entries_.begin(), entries_.end(), bound,
                             [](const DirectoryEntry& entry, const std::string& wanted) {
                                 return entry.path < wanted;
                             });
        return static_cast<std::size_t>(at - entries_.begin());
    };
    static_assert('/' + 1 == '0');
    return {position('/'), position('0')};
}

std::size_t Manifest::at_or_after(ByteCount offset) const {
    // Ends never fall, as offsets do not.
    std::size_t first = 0;
    std::size_t last = entries_.size();
    while (first < last) {
        const auto middle = first + (last - first) / 2;
        if (place(middle).last <= offset)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

}  // namespace flow29::core
