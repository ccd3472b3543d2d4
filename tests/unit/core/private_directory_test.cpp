// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/private_directory.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace flow29;
namespace fs = std::filesystem;

namespace {

struct Scratch {
    Scratch() {
        std::string name = (fs::temp_directory_path() / "flow29-private-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Scratch() { fs::remove_all(path); }
    fs::path path;
};

unsigned mode_of(const fs::path& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 0777U;
}

}  // namespace

TEST_CASE("a private directory is its owner's, and those around it are as usual") {
    const Scratch scratch;
    const auto usual = ::umask(0022);
    for (const char* const name : {"one", "a/b/two", "c/three/"}) {
        CAPTURE(name);
        CHECK(core::make_private_directory(scratch.path / name));
        CHECK(mode_of(scratch.path / name) == 0700);
        CHECK(core::make_private_directory(scratch.path / name));
    }
    CHECK(mode_of(scratch.path / "a") == 0755);
    CHECK(mode_of(scratch.path / "a/b") == 0755);
    CHECK(mode_of(scratch.path / "c") == 0755);
    // Whoever made it decided.
    fs::create_directory(scratch.path / "theirs");
    CHECK(core::make_private_directory(scratch.path / "theirs"));
    CHECK(mode_of(scratch.path / "theirs") == 0755);
    ::umask(usual);
    const auto here = fs::current_path();
    fs::current_path(scratch.path);
    CHECK(core::make_private_directory("relative"));
    fs::current_path(here);
    CHECK(mode_of(scratch.path / "relative") == 0700);
}

TEST_CASE("a file in the way of a private directory is said") {
    const Scratch scratch;
    std::ofstream(scratch.path / "file") << "x";
    for (const char* const name : {"file", "file/below"}) {
        const auto made = core::make_private_directory(scratch.path / name);
        REQUIRE_FALSE(made);
        CHECK(made.error().code == Errc::file_error);
        CHECK(made.error().message().find((scratch.path / "file").string()) != std::string::npos);
    }
}
