// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/uploads.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>

namespace flow29::api {
namespace {

using namespace std::chrono_literals;

const Uploads::Clock::time_point start{1h};

struct Folder {
    std::filesystem::path path;
    Folder() {
        std::string name =
            (std::filesystem::temp_directory_path() / "flow29-uploads-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() { std::filesystem::remove_all(path); }
};

std::string content_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

bool has_nothing(const std::filesystem::path& path) {
    return !std::filesystem::exists(path) || std::filesystem::is_empty(path);
}

}  // namespace

TEST_CASE("a file comes in slices, each where the one before ended") {
    const Folder folder;
    Uploads uploads(folder.path / "uploads");
    const auto begun = uploads.begin({.name = "a.txt", .bytes = ByteCount(6)}, start);
    REQUIRE(begun);
    const auto write = [&](std::uint64_t offset, std::string_view bytes) {
        return uploads.write({begun->id, "", ByteCount(offset), bytes}, start);
    };
    CHECK(*write(0, "abc") == ByteCount(3));
    CHECK(write(0, "abc").error().code == Errc::exists_already);
    CHECK(write(4, "ef").error().code == Errc::exists_already);
    CHECK(*uploads.received(begun->id, "") == ByteCount(3));
    CHECK(uploads.close(begun->id).error().code == Errc::refused);
    CHECK(write(3, "defg").error().code == Errc::usage);
    CHECK(*write(3, "def") == ByteCount(6));
    const auto complete = uploads.close(begun->id);
    REQUIRE(complete);
    CHECK(complete->name == "a.txt");
    CHECK(content_of(complete->path) == "abcdef");
    CHECK(uploads.close(begun->id).error().code == Errc::refused);
    CHECK(uploads.remove(begun->id).error().code == Errc::refused);
    CHECK(write(6, "").error().code == Errc::exists_already);
    uploads.release(begun->id, false);
    CHECK(uploads.close(begun->id));
    uploads.release(begun->id, true);
    CHECK(has_nothing(folder.path / "uploads"));
    CHECK(uploads.close(begun->id).error().code == Errc::not_found);
}

TEST_CASE("the same file goes on where it was, another one begins") {
    const Folder folder;
    Uploads uploads(folder.path / "uploads");
    const Uploads::Offer offer{.name = "a", .bytes = ByteCount(2), .tag = "1"};
    const auto first = uploads.begin(offer, start);
    REQUIRE(first);
    REQUIRE(uploads.write({first->id, "", ByteCount(0), "x"}, start));
    const auto again = uploads.begin(offer, start);
    CHECK(again->id == first->id);
    CHECK(again->received == ByteCount(1));
    auto other = offer;
    other.tag += offer.tag;
    CHECK(uploads.begin(other, start)->id != first->id);
}

TEST_CASE("a directory's files stay inside it") {
    const Folder folder;
    Uploads uploads(folder.path / "uploads");
    const auto begun =
        uploads.begin({.name = "d", .bytes = ByteCount(3), .is_directory = true}, start);
    REQUIRE(begun);
    const auto write = [&](const std::string& path, std::string_view bytes) {
        return uploads.write({begun->id, path, ByteCount(0), bytes}, start);
    };
    CHECK(write("a/b/c", "12"));
    CHECK(write("empty", ""));
    for (const std::string path : {"", "/etc/x", "..", "a/../x", "a//x", "a/", ".", "a/./x"})
        CHECK_MESSAGE(write(path, "3").error().code == Errc::usage, path);
    CHECK(write(std::string("x\0y", 3), "3").error().code == Errc::usage);
    CHECK(write(std::string(256, 'x'), "3").error().code == Errc::usage);
    CHECK(write("a/b", "3").error().code == Errc::file_error);
    CHECK(write("z", "3"));
    const auto complete = uploads.close(begun->id);
    REQUIRE(complete);
    CHECK(content_of(complete->path / "a/b/c") == "12");
    CHECK(std::filesystem::exists(complete->path / "empty"));
}

TEST_CASE("names that are none, lengths that cannot be and too many are refused") {
    const Folder folder;
    Uploads uploads(folder.path / "uploads");
    for (const std::string name : {"", ".", "..", "a/b", "/"})
        CHECK_MESSAGE(uploads.begin({.name = name}, start).error().code == Errc::usage, name);
    CHECK(uploads.begin({.name = "a", .bytes = ByteCount(limits::object_bytes_max + 1)}, start)
              .error()
              .code == Errc::usage);
    CHECK(uploads.begin({.name = "a", .bytes = ByteCount(limits::object_bytes_max)}, start)
              .error()
              .code == Errc::no_space);
    CHECK(has_nothing(folder.path / "uploads"));
    for (std::size_t i = 0; i < limits::uploads_max; ++i)
        CHECK(uploads.begin({.name = std::to_string(i)}, start));
    CHECK(uploads.begin({.name = "one more"}, start).error().code == Errc::refused);
}

TEST_CASE("a directory from a browser has so many files") {
    const Folder folder;
    Uploads uploads(folder.path / "uploads");
    const auto begun =
        uploads.begin({.name = "d", .bytes = ByteCount(1), .is_directory = true}, start);
    REQUIRE(begun);
    const auto write = [&](std::size_t number, std::uint64_t offset, std::string_view bytes) {
        return uploads.write({begun->id, std::to_string(number), ByteCount(offset), bytes}, start);
    };
    for (std::size_t i = 0; i < limits::upload_files_max; ++i)
        REQUIRE(write(i, 0, ""));
    CHECK(write(limits::upload_files_max, 0, "").error().code == Errc::usage);
    CHECK(write(0, 0, "x"));
}

TEST_CASE("what got nothing for long is removed, what is being published is not") {
    const Folder folder;
    Uploads uploads(folder.path / "uploads");
    const auto stale = uploads.begin({.name = "stale", .bytes = ByteCount(9)}, start);
    const auto closed = uploads.begin({.name = "closed"}, start);
    REQUIRE(uploads.close(closed->id));
    uploads.sweep(start + limits::upload_idle_max);
    CHECK(uploads.received(stale->id, ""));
    uploads.sweep(start + limits::upload_idle_max + 1s);
    CHECK(uploads.received(stale->id, "").error().code == Errc::not_found);
    CHECK(uploads.received(closed->id, ""));
}

TEST_CASE("what a node that was killed left is removed at the start") {
    const Folder folder;
    std::filesystem::create_directories(folder.path / "uploads/x");
    const Uploads uploads(folder.path / "uploads");
    CHECK(has_nothing(folder.path / "uploads"));
}

}  // namespace flow29::api
