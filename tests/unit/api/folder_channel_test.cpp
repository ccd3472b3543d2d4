// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/folder_channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stop_token>

#include <flow29/limits.hpp>

#include <doctest/doctest.h>

using namespace flow29;
namespace fs = std::filesystem;
using node::Replacing;

namespace {

/// A directory of the caller's, and the folder that a node gets of it.
struct Caller {
    Caller() {
        std::string name = (fs::temp_directory_path() / "flow29-folder-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Caller() { fs::remove_all(path); }

    std::shared_ptr<node::Folder> grant(std::string output, bool may_replace = false,
                                        uid_t node_user = ::geteuid() + 1) {
        api::UniqueFd there;
        std::vector<api::FolderGrant> grants;
        grants.push_back({api::UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
                          std::move(output), may_replace});
        auto started = api::FolderServer::start(std::move(grants), there);
        REQUIRE(started);
        server = std::move(*started);
        auto folders = api::remote_folders(std::move(there), 1, node_user);
        REQUIRE(folders);
        return folders->front();
    }
    void put(const std::string& name, const std::string& text) const {
        std::ofstream(path / name) << text;
    }
    [[nodiscard]] std::string get(const std::string& name) const {
        std::ifstream file(path / name);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    fs::path path;
    std::unique_ptr<api::FolderServer> server;
};

/// The other end of a folder, where anything may be said.
struct Liar {
    Liar() {
        int ends[2] = {-1, -1};
        REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
        end.reset(ends[1]);
        const auto folders =
            api::remote_folders(api::UniqueFd(ends[0]), 1, ::geteuid(), gone.get_token());
        REQUIRE(folders);
        folder = folders->front();
    }
    void say(const std::string& packet) const {
        REQUIRE(::send(end.get(), packet.data(), packet.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(packet.size()));
    }

    api::UniqueFd end;
    std::stop_source gone;
    std::shared_ptr<node::Folder> folder;
};

/// An entry of an answer, before its name.
struct Entry {
    struct stat facts {};
    std::uint32_t name_bytes = 0;
};
constexpr std::size_t answer_head_bytes = 3 * 4;  // code, value, whether there is more

template <class T>
Errc code_of(const Result<T>& result) {
    return result ? Errc::ok : result.error().code;
}

}  // namespace

TEST_CASE("a node writes its output into a caller's folder and moves it into place") {
    Caller caller;
    const auto folder = caller.grant("film");
    CHECK(folder->user() == ::geteuid());
    CHECK_FALSE(folder->look("film").value().has_value());
    auto partial = folder->open("film.flow29-part", O_RDWR | O_CREAT, 0666);
    REQUIRE(partial);
    REQUIRE(::write(partial->get(), "abc", 3) == 3);
    CHECK(folder->open("film.flow29-part.log", O_RDWR | O_CREAT | O_APPEND, 0600));
    CHECK(folder->set_modified("film.flow29-part", FileTime(std::chrono::hours(29))));
    REQUIRE(folder->move("film.flow29-part", "film", Replacing::nothing));
    CHECK(folder->sync());
    CHECK(folder->remove("film.flow29-part.log"));
    CHECK(caller.get("film") == "abc");
    CHECK(folder->look("film").value()->st_size == 3);
    CHECK(folder->look("film").value()->st_mtime == 29 * 3600);
}

TEST_CASE("a node of the caller's user needs the caller no more in what it has entered") {
    Caller caller;
    for (const bool is_same : {false, true}) {
        CAPTURE(is_same);
        const auto folder = caller.grant("photos", false, is_same ? ::geteuid() : ::geteuid() + 1);
        REQUIRE(folder->make_directories("photos.flow29-part"));
        const auto inside = folder->enter("photos.flow29-part");
        REQUIRE(inside);
        REQUIRE((*inside)->make_directories("2026"));
        CHECK((*inside)->open("2026/cat", O_RDWR | O_CREAT, 0666));
        caller.server.reset();
        const auto later = (*inside)->open("2026/dog", O_RDWR | O_CREAT, 0666);
        CHECK(code_of(later) == (is_same ? Errc::ok : Errc::interrupted));
        CHECK(code_of(folder->sync()) == Errc::interrupted);
        CHECK(fs::exists(caller.path / "photos.flow29-part/2026/cat"));
    }
}

TEST_CASE("a node touches nothing but its output in a caller's folder") {
    Caller caller;
    caller.put("diary", "mine");
    caller.put("film", "old");
    fs::create_directory(caller.path / "inner");
    fs::create_symlink("/etc/passwd", caller.path / "film.flow29-part");
    const auto folder = caller.grant("film");
    CHECK(code_of(folder->open("diary", O_RDONLY)) == Errc::refused);
    CHECK(code_of(folder->open("film", O_RDWR)) == Errc::refused);
    CHECK(code_of(folder->open("", O_RDONLY | O_DIRECTORY)) == Errc::refused);
    CHECK(code_of(folder->open("../x", O_RDWR | O_CREAT, 0666)) == Errc::refused);
    CHECK(code_of(folder->open("film.flow29-part/../diary", O_RDWR)) == Errc::refused);
    CHECK(code_of(folder->list("")) == Errc::refused);
    CHECK(code_of(folder->remove("diary")) == Errc::refused);
    CHECK(code_of(folder->remove("film")) == Errc::refused);
    CHECK(code_of(folder->enter("inner")) == Errc::refused);
    CHECK(code_of(folder->set_modified("film", FileTime())) == Errc::refused);
    CHECK(code_of(folder->set_modified("diary", FileTime())) == Errc::refused);
    CHECK(code_of(folder->make_directories("film.flow29-part.log/x")) == Errc::refused);
    CHECK(code_of(folder->move("film.flow29-part", "diary", Replacing::file)) == Errc::refused);
    CHECK(code_of(folder->move("diary", "film", Replacing::file)) == Errc::refused);
    // What is there already only if the caller said so.
    CHECK(code_of(folder->move("film.flow29-part", "film", Replacing::file)) == Errc::refused);
    CHECK(code_of(folder->move("film.flow29-part", "film", Replacing::swap)) == Errc::refused);
    // Through no link, and with no odd mode.
    CHECK(code_of(folder->open("film.flow29-part", O_RDONLY)) == Errc::file_error);
    CHECK(code_of(folder->set_modified("film.flow29-part", FileTime())) == Errc::file_error);
    REQUIRE(folder->remove("film.flow29-part"));
    CHECK(code_of(folder->open("film.flow29-part", O_RDWR | O_CREAT, 04755)) == Errc::refused);
    CHECK(code_of(folder->open("film.flow29-part", O_RDWR | O_CREAT | O_TRUNC, 0644)) ==
          Errc::refused);
    CHECK(caller.get("diary") == "mine");
    CHECK(caller.get("film") == "old");
}

TEST_CASE("a partial directory is the node's own, and a swap is allowed when the caller said so") {
    Caller caller;
    fs::create_directory(caller.path / "photos");
    caller.put("photos/old", "old");
    const auto folder = caller.grant("photos", true);
    REQUIRE(folder->make_directories("photos.flow29-part"));
    const auto inside = folder->enter("photos.flow29-part");
    REQUIRE(inside);
    REQUIRE((*inside)->make_directories("a/b"));
    CHECK((*inside)->open("a/b/new", O_RDWR | O_CREAT | O_EXCL, 0777));
    CHECK(code_of((*inside)->open("a/b/new", O_RDWR | O_CREAT | O_EXCL, 0777)) ==
          Errc::exists_already);
    CHECK(code_of((*inside)->open("../photos/old", O_RDONLY)) == Errc::file_error);
    CHECK((*inside)->list("a/b").value().size() == 1);
    REQUIRE(folder->move("photos.flow29-part", "photos", Replacing::swap));
    CHECK(fs::exists(caller.path / "photos/a/b/new"));
    REQUIRE(folder->remove("photos.flow29-part"));
    CHECK_FALSE(fs::exists(caller.path / "photos.flow29-part"));
}

TEST_CASE("a folder to read from is not written to, and lists more than one packet holds") {
    Caller caller;
    constexpr int count = 1500;  // of some 170 octets each
    for (int i = 0; i < count; ++i)
        caller.put("file" + std::to_string(i), "x");
    const auto folder = caller.grant("");
    const auto entries = folder->list("");
    REQUIRE(entries);
    CHECK(entries->size() == count);
    for (const auto& entry : *entries)
        CHECK(entry.facts.st_size == 1);
    CHECK(folder->open("file7", O_RDONLY | O_NONBLOCK));
    CHECK(code_of(folder->open("file7", O_RDWR)) == Errc::refused);
    CHECK(code_of(folder->open("new", O_RDONLY | O_CREAT, 0666)) == Errc::refused);
    CHECK(code_of(folder->remove("file7")) == Errc::refused);
    CHECK(code_of(folder->set_modified("file7", FileTime())) == Errc::refused);
    CHECK(code_of(folder->make_directories("new")) == Errc::refused);
}

TEST_CASE("a folder says nothing of what is above it") {
    Caller caller;
    fs::create_directory(caller.path / "inner");
    const auto folder = caller.grant("");
    CHECK(folder->look("inner").value().has_value());
    CHECK(code_of(folder->look("..")) == Errc::file_error);
    CHECK(code_of(folder->look("inner/..")) == Errc::file_error);
    CHECK(code_of(folder->look("../x")) == Errc::file_error);
    CHECK(code_of(folder->list("..")) == Errc::file_error);
}

TEST_CASE("so many places in a caller's folder are entered, one more is refused") {
    Caller caller;
    const auto folder = caller.grant("photos", true);
    REQUIRE(folder->make_directories("photos.flow29-part"));
    std::vector<std::shared_ptr<node::Folder>> entered;
    // The folder itself is one of them.
    while (entered.size() + 1 < limits::folders_entered_max) {
        auto inside = folder->enter("photos.flow29-part");
        REQUIRE(inside);
        entered.push_back(std::move(*inside));
    }
    CHECK_FALSE(folder->enter("photos.flow29-part"));
    CHECK(entered.back()->make_directories("a"));
}

TEST_CASE("a name in a directory of a caller's has so many octets, one more ends the channel") {
    for (const std::size_t more : {0, 1}) {
        Liar liar;
        const Entry entry{{}, static_cast<std::uint32_t>(limits::path_component_bytes_max + more)};
        liar.say(std::string(answer_head_bytes, '\0') +
                 std::string(reinterpret_cast<const char*>(&entry), sizeof entry) +
                 std::string(entry.name_bytes, 'x'));
        CHECK(code_of(liar.folder->list("")) == (more == 0 ? Errc::ok : Errc::interrupted));
    }
}

TEST_CASE("a directory of a caller's has so many entries, one more ends the channel") {
    const auto list = [](std::size_t count) {
        Liar liar;
        std::thread talk([&] {
            constexpr std::size_t fitting = limits::folder_packet_bytes_max / sizeof(Entry) - 1;
            while (count > 0) {
                const auto entries = std::min(count, fitting);
                count -= entries;
                const std::uint32_t head[] = {0, 0, count > 0 ? 1U : 0U};
                static_assert(sizeof head == answer_head_bytes);
                std::string packet(reinterpret_cast<const char*>(head), sizeof head);
                packet.resize(sizeof head + entries * sizeof(Entry));
                // Once the channel has ended, nobody takes the rest.
                if (::send(liar.end.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) return;
            }
        });
        const auto entries = liar.folder->list("");
        talk.join();
        return entries ? entries->size() : 0;
    };
    CHECK(list(limits::folder_entries_max) == limits::folder_entries_max);
    CHECK(list(limits::folder_entries_max + 1) == 0);
}

TEST_CASE("a pipe in the place of a file is not taken") {
    Caller caller;
    REQUIRE(::mkfifo((caller.path / "film.flow29-part").c_str(), 0600) == 0);
    const auto folder = caller.grant("film");
    CHECK(code_of(folder->open("film.flow29-part", O_RDWR | O_NONBLOCK)) == Errc::refused);
}

TEST_CASE("when whoever serves the folder is gone, everything is interrupted") {
    Caller caller;
    const auto folder = caller.grant("film");
    caller.server.reset();
    CHECK(code_of(folder->look("film")) == Errc::interrupted);
    CHECK(code_of(folder->open("film.flow29-part", O_RDWR)) == Errc::interrupted);
}

TEST_CASE("a path that a packet does not hold is not asked for") {
    Caller caller;
    const auto folder = caller.grant("");
    constexpr std::size_t head_bytes = 6 * 4 + 8;  // of the request
    const auto open = [&folder](std::size_t path_bytes) {
        return code_of(folder->open(std::string(path_bytes, 'x'), O_RDONLY));
    };
    CHECK(open(limits::folder_packet_bytes_max - head_bytes) == Errc::file_error);
    CHECK(open(limits::folder_packet_bytes_max - head_bytes + 1) == Errc::usage);
    CHECK(folder->list(""));
}

TEST_CASE("whoever is gone is not waited for") {
    Liar liar;
    std::thread asking([&liar] { CHECK(code_of(liar.folder->sync()) == Errc::interrupted); });
    char octet = 0;
    REQUIRE(::recv(liar.end.get(), &octet, 1, 0) == 1);
    liar.gone.request_stop();
    asking.join();
    CHECK(code_of(liar.folder->sync()) == Errc::interrupted);
}

TEST_CASE("answers that make no sense end the channel") {
    Liar liar;
    SUBCASE("as they are too short") {
        liar.say("short");
        CHECK(code_of(liar.folder->look("x")) == Errc::interrupted);
    }
    SUBCASE("as they are longer than one may be") {
        liar.say(std::string(limits::folder_packet_bytes_max, '\0'));
        CHECK(code_of(liar.folder->sync()) == Errc::ok);
        liar.say(std::string(limits::folder_packet_bytes_max + 1, '\0'));
        CHECK(code_of(liar.folder->sync()) == Errc::interrupted);
    }
    CHECK(code_of(liar.folder->sync()) == Errc::interrupted);

    const api::UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    CHECK(code_of(api::remote_folders(api::UniqueFd(::dup(file.get())), 1, ::geteuid())) ==
          Errc::usage);
}
