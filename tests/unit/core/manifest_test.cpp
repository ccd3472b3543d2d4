// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/manifest.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <random>

#include <flow29/limits.hpp>

#include "core/hash.hpp"
#include "core/merkle.hpp"

using namespace flow29;
using namespace flow29::core;
using nlohmann::json;

namespace {

/// Written by a second implementation.
const json& vectors() {
    static const json parsed = [] {
        std::ifstream file(FLOW29_VECTORS "/directory.json");
        return json::parse(file);
    }();
    return parsed;
}

Bytes octets(const json& object, const char* field) {
    return from_hex(object.at(field).get<std::string>()).value();
}

ByteCount length_of(const json& vector) {
    return ByteCount(vector.at("length").get<std::uint64_t>());
}

std::vector<DirectoryEntry> entries_of(const json& vector) {
    std::vector<DirectoryEntry> entries;
    for (const json& entry : vector.at("entries")) {
        const auto path = octets(entry, "path");
        auto& made = entries.emplace_back(DirectoryEntry{
            std::string(path.begin(), path.end()),
            static_cast<EntryType>(entry.at("type").get<unsigned>()), length_of(entry)});
        if (entry.contains("modified"))
            made.modified =
                FileTime(std::chrono::nanoseconds(entry.at("modified").get<std::int64_t>()));
    }
    return entries;
}

DirectoryEntry file(std::string path, std::uint64_t length = 1) {
    return {std::move(path), EntryType::file, ByteCount(length)};
}

Errc refusal(std::vector<DirectoryEntry> entries) {
    const auto made = Manifest::make(std::move(entries));
    return made ? Errc::ok : made.error().code;
}

}  // namespace

TEST_CASE("manifests, places and roots of directories are those of the second implementation") {
    for (const json& vector : vectors().at("directories")) {
        CAPTURE(vector.at("why").get<std::string>());
        auto entries = entries_of(vector);
        std::shuffle(entries.begin(), entries.end(), std::mt19937_64(29));
        const auto made = Manifest::make(entries);
        REQUIRE(made.has_value());
        CHECK(made->encode() == octets(vector, "manifest"));
        CHECK(made->object_length() == length_of(vector));

        Bytes object = made->encode();
        object.resize(made->object_length().value);
        for (std::size_t n = 0; n < made->entries().size(); ++n) {
            const auto place = made->place(n);
            const json& offset = vector.at("entries").at(n).at("offset");
            if (!offset.is_null()) CHECK(place.first.value == offset.get<std::uint64_t>());
            for (std::uint64_t i = 0; i < place.count().value; ++i)
                object[place.first.value + i] = static_cast<std::uint8_t>(31 * i + 7 * n);
        }
        const auto root =
            root_hash(ObjectKind::directory, made->object_length(), tree_hash(object));
        CHECK(to_hex(root) == vector.at("root").get<std::string>());

        const auto decoded = Manifest::decode(made->encode(), made->object_length());
        REQUIRE(decoded.has_value());
        CHECK(decoded->entries() == made->entries());
        CHECK(decoded->object_length() == made->object_length());
    }
}

TEST_CASE("what a hostile publisher may write is refused") {
    for (const json& vector : vectors().at("corrupted")) {
        CAPTURE(vector.at("why").get<std::string>());
        const auto raw = octets(vector, "raw");
        const auto decoded = Manifest::decode(raw, length_of(vector));
        REQUIRE_FALSE(decoded.has_value());
        CHECK(decoded.error().code == Errc::refused);
        CHECK_FALSE(decoded.error().message().empty());
    }
}

TEST_CASE("all files have a time, or none has, and directories have none") {
    const auto timed = [](std::string path, std::int64_t time) {
        auto entry = file(std::move(path));
        entry.modified = FileTime(std::chrono::nanoseconds(time));
        return entry;
    };
    const DirectoryEntry empty{"empty", EntryType::empty_directory, {}};
    CHECK(refusal({timed("a", 0), timed("b", 7), empty}) == Errc::ok);
    CHECK(refusal({timed("a", 0), file("b")}) == Errc::refused);
    CHECK(refusal({timed("a", -1)}) == Errc::refused);
    auto directory = empty;
    directory.modified = FileTime();
    CHECK(refusal({directory}) == Errc::refused);
    CHECK(refusal({timed("a", 7), directory}) == Errc::refused);
}

TEST_CASE("a mutated manifest is refused, or is a manifest that encodes to itself") {
    std::mt19937_64 random(29);
    std::vector<DirectoryEntry> entries{file("a", 700),
                                        file("b/c", 0),
                                        file("b/d", 513),
                                        file("e"),
                                        {"empty", EntryType::empty_directory, ByteCount(0)}};
    SUBCASE("without times") {}
    SUBCASE("with times") {
        for (auto& entry : entries)
            if (entry.type == EntryType::file) entry.modified = FileTime(std::chrono::hours(5));
    }
    const auto made = Manifest::make(std::move(entries));
    REQUIRE(made.has_value());
    const auto encoded = made->encode();
    std::size_t accepted = 0;
    for (int round = 0; round < 50'000; ++round) {
        auto raw = encoded;
        for (auto changes = 1 + random() % 3; changes > 0; --changes) {
            const auto at = random() % raw.size();
            switch (random() % 4) {
                case 0:
                    raw[at] = static_cast<std::uint8_t>(random());
                    break;
                case 1:
                    raw[at] ^= static_cast<std::uint8_t>(1U << random() % 8);
                    break;
                case 2:
                    raw.insert(raw.begin() + static_cast<std::ptrdiff_t>(at), raw[at]);
                    break;
                default:
                    if (raw.size() > 1) raw.erase(raw.begin() + static_cast<std::ptrdiff_t>(at));
            }
        }
        const ByteCount length(random() % 2 == 0 ? made->object_length().value : random() % 4096);
        const auto decoded = Manifest::decode(raw, length);
        if (!decoded) continue;
        ++accepted;
        REQUIRE(decoded->encode() == raw);
        REQUIRE(decoded->object_length() == length);
        for (const auto& entry : decoded->entries())
            REQUIRE(check_path(entry.path).has_value());
    }
    // A letter of a name may be another one; so the test also reaches what is accepted.
    CHECK(accepted > 100);
}

TEST_CASE("paths are found, and what is below a directory") {
    const auto made = Manifest::make({file("a/b"), file("a/b!"), file("a!"), file("a0"), file("b"),
                                      file("a/c/d"), file("a/c/e"), file("z", 0)});
    REQUIRE(made.has_value());
    const auto path_at = [&](std::size_t index) { return made->entries()[index].path; };
    CHECK(path_at(made->find("a/b").value()) == "a/b");
    CHECK_FALSE(made->find("a").has_value());
    CHECK_FALSE(made->find("a/").has_value());
    CHECK_FALSE(made->find("").has_value());
    CHECK_FALSE(made->find("zz").has_value());
    const auto all = made->below("");
    CHECK(all.last - all.first == 8);
    const auto below = made->below("a");
    REQUIRE(below.last - below.first == 4);
    for (auto i = below.first; i < below.last; ++i)
        CHECK(path_at(i).starts_with("a/"));
    CHECK(made->below("a/b").empty());
    CHECK(made->below("nothing").empty());
    const auto inner = made->below("a/c");
    CHECK(made->place(inner).first == made->place(made->find("a/c/d").value()).first);
    CHECK(made->place(inner).last == made->place(made->find("a/c/e").value()).last);
}

TEST_CASE("each octet of the object belongs to the file there or is before the next one") {
    const auto made =
        Manifest::make({file("a", 513), file("b", 0), file("c", 512), file("d", 1), file("e", 0)});
    REQUIRE(made.has_value());
    for (std::uint64_t offset = 0; offset <= made->object_length().value; ++offset) {
        std::size_t expected = made->entries().size();
        for (std::size_t i = made->entries().size(); i-- > 0;)
            if (made->place(i).last.value > offset) expected = i;
        CHECK(made->at_or_after(ByteCount(offset)) == expected);
    }
    CHECK(made->at_or_after(ByteCount(0)) == 0);
}

TEST_CASE("a directory has at most 96 extents while they can grow") {
    constexpr std::uint64_t MiB = 1ULL << 20;
    const auto level = [](std::uint64_t bytes) {
        return default_directory_level(ByteCount(bytes));
    };
    CHECK(level(0) == 11);
    CHECK(level(96 * MiB) == 11);
    CHECK(level(96 * MiB + 1) == 12);
    CHECK(level(192 * MiB) == 12);
    CHECK(level(192 * MiB + 1) == 13);
    CHECK(level(96 * 64 * MiB) == 17);
    CHECK(level(96 * 64 * MiB + 1) == 17);
    CHECK(level(limits::object_bytes_max) == 17);
}

TEST_CASE("a directory has bounds") {
    CHECK(refusal({file("a", limits::object_bytes_max)}) == Errc::ok);
    CHECK(refusal({file("a", limits::object_bytes_max + 1)}) == Errc::refused);
    CHECK(refusal({file("a", limits::object_bytes_max), file("b")}) == Errc::refused);
    CHECK(refusal({file(std::string(limits::path_component_bytes_max, 'n'))}) == Errc::ok);
    CHECK(refusal({file(std::string(limits::path_component_bytes_max + 1, 'n'))}) == Errc::refused);
    std::vector<DirectoryEntry> many;
    for (unsigned i = 0; i <= limits::manifest_entries_max; ++i)
        many.push_back(file(std::to_string(i), 0));
    CHECK(refusal(many) == Errc::refused);
    many.pop_back();
    CHECK(refusal(many) == Errc::ok);
}

TEST_CASE("the paths of a directory lie in so many directories, however few they are") {
    const auto deep = [](unsigned i) {
        std::string path = std::to_string(1'000 + i);
        for (unsigned level = 1; level < 2'000; ++level)
            path += "/d";
        return path;
    };
    std::vector<DirectoryEntry> entries;
    for (unsigned i = 0; i < limits::manifest_directories_max / 2'000; ++i)
        entries.push_back({deep(i), EntryType::empty_directory, ByteCount(0)});
    const auto all = Manifest::make(entries);
    REQUIRE(all);
    CHECK(all->directories({0, entries.size()}) == limits::manifest_directories_max);
    CHECK(all->directories({1, 3}) == 4'000);
    entries.push_back(file("one/more", 0));
    CHECK(refusal(entries) == Errc::refused);
}

TEST_CASE("directories are counted once") {
    const auto count_in = [](std::vector<DirectoryEntry> entries) {
        const auto manifest = Manifest::make(std::move(entries));
        REQUIRE(manifest);
        return manifest->directories({0, manifest->entries().size()});
    };
    CHECK(count_in({}) == 0);
    CHECK(count_in({file("a", 1), file("b", 1)}) == 0);
    CHECK(count_in({file("a/b", 1), file("a/c", 1)}) == 1);
    CHECK(count_in({file("a-b/x", 1), file("a/x", 1), file("ab/x", 1)}) == 3);
    CHECK(count_in({file("a/b/c", 1), file("a/b/d", 1), file("a/bb/c", 1)}) == 3);
    CHECK(count_in({file("a/b/c", 1), {"a/e", EntryType::empty_directory, ByteCount(0)}}) == 3);
}

TEST_CASE("a path has bounds") {
    std::string longest;
    while (longest.size() < limits::path_bytes_max)
        longest += std::string(limits::path_component_bytes_max - 1, 'n') + '/';
    longest.resize(limits::path_bytes_max);
    CHECK(check_path(longest).has_value());
    CHECK_FALSE(check_path(longest + 'n').has_value());
}

TEST_CASE("the paths of a directory have bounds together") {
    std::vector<DirectoryEntry> entries;
    std::uint64_t bytes = 0;
    for (unsigned i = 10'000'000; bytes <= limits::manifest_bytes_max; ++i) {
        std::string path = std::to_string(i);
        while (path.size() < limits::path_bytes_max)
            path += '/' + std::string(limits::path_component_bytes_max, 'n');
        path.resize(limits::path_bytes_max - 1);
        bytes += path.size();
        entries.push_back(file(std::move(path), 0));
    }
    CHECK(refusal(entries) == Errc::refused);
    entries.resize(entries.size() - entries.size() / 100);  // what is not path
    CHECK(refusal(std::move(entries)) == Errc::ok);

    // Of a manifest that comes, the length is judged before anything else.
    const auto head_of = [](std::uint64_t packed) {
        Bytes head;
        for (int shift = 56; shift >= 0; shift -= 8)
            head.push_back(static_cast<std::uint8_t>(packed >> shift));
        return head;
    };
    const auto most = limits::manifest_bytes_max - Manifest::head_bytes;
    const ByteCount object(limits::object_bytes_max);
    CHECK(Manifest::encoded_bytes(head_of(most), object) == ByteCount(limits::manifest_bytes_max));
    CHECK_FALSE(Manifest::encoded_bytes(head_of(most + 1), object).has_value());
}
