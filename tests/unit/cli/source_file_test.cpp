// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/source_file.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>

namespace flow29::cli {
namespace {

struct ScratchDirectory {
    std::filesystem::path path;

    ScratchDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "flow29-cli-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~ScratchDirectory() { std::filesystem::remove_all(path); }
};

std::string content_of(int fd) {
    std::string content;
    char buffer[4096];
    ssize_t count = 0;
    while ((count = ::read(fd, buffer, sizeof buffer)) > 0)
        content.append(buffer, static_cast<std::size_t>(count));
    return content;
}

Result<void> spool_quietly(OpenSource& source, const std::filesystem::path& directory) {
    GlobalOptions quiet;
    quiet.quiet = true;
    Output output(quiet);
    Interrupt interrupt;
    return spool(source, directory, output, interrupt);
}

}  // namespace

TEST_CASE("a regular file is used where it is") {
    const ScratchDirectory scratch;
    std::ofstream(scratch.path / "file.txt") << "hello";
    const auto source = open_source((scratch.path / "file.txt").string());
    REQUIRE(source);
    CHECK(source->is_regular);
    CHECK(source->bytes.value == 5);
    CHECK(source->source.name == "file.txt");
}

TEST_CASE("a directory is opened and called by its name, however it was written") {
    const ScratchDirectory scratch;
    const auto photos = scratch.path / "photos";
    std::filesystem::create_directory(photos);
    for (const auto& path : {photos.string(), photos.string() + "/", photos.string() + "/.",
                             (photos / ".." / "photos").string(), photos.string() + "//"}) {
        CAPTURE(path);
        const auto source = open_source(path);
        REQUIRE(source);
        CHECK(source->is_directory);
        CHECK_FALSE(source->is_regular);
        CHECK(source->source.name == "photos");
    }
}

TEST_CASE("missing files are refused") {
    const ScratchDirectory scratch;
    CHECK(open_source((scratch.path / "gone").string()).error().code == Errc::file_error);
}

TEST_CASE("a pipe is copied into a file without a name") {
    const ScratchDirectory scratch;
    const std::string fifo = (scratch.path / "fifo").string();
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    const std::string content(300'000, 'x');
    std::thread writer([&] { std::ofstream(fifo) << content; });
    auto source = open_source(fifo);
    REQUIRE(source);
    CHECK_FALSE(source->is_regular);

    const auto spooled = spool_quietly(*source, scratch.path);
    writer.join();
    REQUIRE(spooled);
    CHECK(source->bytes.value == content.size());
    CHECK(content_of(source->fd.get()) == content);
    const auto entries = std::filesystem::directory_iterator(scratch.path);
    CHECK(std::distance(begin(entries), end(entries)) == 1);
}

TEST_CASE("a file that has more than it says is read like a pipe") {
    const ScratchDirectory scratch;
    auto source = open_source("/proc/self/status");
    REQUIRE(source);
    CHECK_FALSE(source->is_regular);
    REQUIRE(spool_quietly(*source, scratch.path));
    CHECK(content_of(source->fd.get()).starts_with("Name:"));
    // Its first page is not there to be read.
    CHECK(open_source("/proc/self/mem").error().code == Errc::file_error);
    std::ofstream(scratch.path / "empty").flush();
    CHECK(open_source((scratch.path / "empty").string())->is_regular);
}

TEST_CASE("a path that JSON cannot carry is refused") {
    CHECK(absolute_path("/tmp/é"));
    CHECK(absolute_path("relative")->is_absolute());
    for (const char* path : {"/tmp/\xff", "/tmp/\xc3", "/tmp/\xe2\x82", "/tmp/\x80"}) {
        const auto absolute = absolute_path(path);
        REQUIRE_FALSE(absolute);
        CHECK(absolute.error().code == Errc::usage);
    }
}

}  // namespace flow29::cli
