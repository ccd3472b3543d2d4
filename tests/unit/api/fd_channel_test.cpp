// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/fd_channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include <doctest/doctest.h>

namespace flow29::api {
namespace {

/// A directory that is removed with what is in it.
struct ScratchDirectory {
    std::filesystem::path path;

    ScratchDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "flow29-api-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~ScratchDirectory() { std::filesystem::remove_all(path); }
};

UniqueFd duplicate_of(int fd) {
    return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

}  // namespace

TEST_CASE("lines come out as they went in, however the stream was cut") {
    const std::string stream = "one\n\ntwo words\nlast";
    for (std::size_t step = 1; step <= stream.size(); ++step) {
        LineBuffer buffer;
        std::vector<std::string> lines;
        for (std::size_t i = 0; i < stream.size(); i += step) {
            REQUIRE(buffer.append(std::string_view(stream).substr(i, step)));
            while (auto line = buffer.pop_line())
                lines.push_back(*line);
        }
        CHECK(lines == std::vector<std::string>{"one", "", "two words"});
    }
}

TEST_CASE("a line of exactly the limit passes and one octet more does not") {
    LineBuffer fits;
    REQUIRE(fits.append(std::string(limits::control_line_bytes_max, 'a')));
    REQUIRE(fits.append("\n"));
    CHECK(fits.pop_line()->size() == limits::control_line_bytes_max);

    LineBuffer long_one;
    REQUIRE(long_one.append(std::string(limits::control_line_bytes_max, 'a')));
    const auto taken = long_one.append("a");
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Errc::usage);

    LineBuffer at_once;
    CHECK_FALSE(at_once.append(std::string(limits::control_line_bytes_max + 1, 'a') + "\n"));
}

TEST_CASE("a short line before a long one is still read") {
    LineBuffer buffer;
    REQUIRE(buffer.append("short\n"));
    CHECK(buffer.pop_line() == "short");
    CHECK_FALSE(buffer.append(std::string(limits::control_line_bytes_max + 1, 'a')));
}

TEST_CASE("descriptors arrive with the first octets and work") {
    auto pair = make_socket_pair();
    REQUIRE(pair);
    auto inner = make_socket_pair();
    REQUIRE(inner);
    REQUIRE(send_all(pair->here.get(), "request\n", {inner->there.get()}));
    inner->there.reset();

    auto received = receive_some(pair->there.get());
    REQUIRE(received);
    CHECK(received->octets == "request\n");
    REQUIRE(received->descriptors.size() == 1);
    CHECK((::fcntl(received->descriptors.front().get(), F_GETFD) & FD_CLOEXEC) != 0);
    REQUIRE(send_all(received->descriptors.front().get(), "through"));
    CHECK(receive_some(inner->here.get())->octets == "through");
}

TEST_CASE("more descriptors than allowed are refused and none leaks") {
    auto pair = make_socket_pair();
    REQUIRE(pair);
    // send_all never sends so many, so the message is made by hand.
    int extra[limits::control_descriptors_max + 1] = {0, 1, 2};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof extra)] = {};
    char octet = 'x';
    iovec part{&octet, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof extra);
    std::memcpy(CMSG_DATA(head), extra, sizeof extra);
    REQUIRE(::sendmsg(pair->here.get(), &message, 0) == 1);

    const int lowest_free = duplicate_of(0).get();
    const auto received = receive_some(pair->there.get());
    REQUIRE_FALSE(received);
    CHECK(received.error().code == Errc::refused);
    CHECK(duplicate_of(0).get() == lowest_free);
}

TEST_CASE("the end of the stream and an empty one are told apart") {
    auto pair = make_socket_pair();
    REQUIRE(pair);
    REQUIRE(::fcntl(pair->there.get(), F_SETFL, O_NONBLOCK) == 0);
    auto nothing = receive_some(pair->there.get());
    REQUIRE(nothing);
    CHECK(nothing->would_block);
    CHECK_FALSE(nothing->end);
    pair->here.reset();
    auto end = receive_some(pair->there.get());
    REQUIRE(end);
    CHECK(end->end);
}

TEST_CASE("writing to a socket that nobody reads fails without a signal") {
    auto pair = make_socket_pair();
    REQUIRE(pair);
    pair->there.reset();
    CHECK_FALSE(send_all(pair->here.get(), "lost"));
}

TEST_CASE("a listening socket is the owner's alone and replaces a dead one's file") {
    const ScratchDirectory scratch;
    const auto path = scratch.path / "control.sock";
    CHECK(connect_to(path).error().code == Errc::no_node);
    REQUIRE(listen_on(path));  // closed at once, as by a process that was killed
    CHECK(connect_to(path).error().code == Errc::no_node);

    const auto listening = listen_on(path);
    REQUIRE(listening);
    struct stat facts {};
    REQUIRE(::stat(path.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0600);
    const auto connected = connect_to(path);
    REQUIRE(connected);
}

TEST_CASE("a listening socket that a group shares is the owner's and the group's") {
    const ScratchDirectory scratch;
    const auto path = scratch.path / "control.sock";
    const auto listening = listen_on(path, ::getegid());
    REQUIRE(listening);
    struct stat facts {};
    REQUIRE(::stat(path.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0660);
    CHECK(facts.st_gid == ::getegid());
    CHECK(connect_to(path));
}

TEST_CASE("a control socket deep in the file system is reached") {
    const ScratchDirectory scratch;
    const auto deep = scratch.path / std::string(120, 'd') / std::string(120, 'e');
    std::filesystem::create_directories(deep);
    const auto listening = listen_on(deep / "control.sock");
    REQUIRE(listening);
    CHECK(connect_to(deep / "control.sock"));
    CHECK(connect_to(deep / "other.sock").error().code == Errc::no_node);
}

}  // namespace flow29::api
