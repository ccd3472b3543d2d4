// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_connection.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <string>
#include <thread>

#include <flow29/limits.hpp>

#include "api/fd_channel.hpp"
#include "api/unique_fd.hpp"
#include "served.hpp"

namespace flow29::api {
namespace {

using namespace std::chrono_literals;

struct Ends {
    Ends() {
        auto pair = make_socket_pair();
        REQUIRE(pair);
        client = std::move(pair->here);
        server = std::move(pair->there);
    }
    UniqueFd client, server;
};

constexpr HttpConnection::Bounds bounds{
    .head_bytes = 100, .body_bytes = 50, .head_time = 1min, .read_time = 50ms, .write_time = 50ms};

/// All that the connection gives, in steps of so many octets.
std::string all_of(HttpConnection& connection, std::size_t step = 1) {
    std::string text;
    std::string part(step, '\0');
    for (ssize_t got = 0; (got = connection.read(part.data(), part.size())) > 0;)
        text.append(part, 0, static_cast<std::size_t>(got));
    return text;
}

void check_read(const std::string& sent, std::size_t wanted) {
    for (const std::size_t step : {1, 7, 1000}) {
        CAPTURE(step);
        CAPTURE(sent);
        Ends ends;
        REQUIRE(send_all(ends.client.get(), sent));
        HttpConnection connection(ends.server.get(), bounds);
        CHECK(connection.has_begun());
        CHECK(all_of(connection, step) == sent.substr(0, wanted));
    }
}

}  // namespace

TEST_CASE("of a head no more is read than it may have, and of a body likewise") {
    const std::string line(40, 'x');
    check_read(std::string(200, 'x'), 100);
    check_read(line + "\r\n" + line + "\r\n" + line + "\r\n" + line, 100);
    const std::string head = line + "\r\n\r\n";
    check_read(head, head.size());
    check_read(head + std::string(50, 'b'), head.size() + 50);
    check_read(head + std::string(51, 'b'), head.size() + 50);
    check_read(line + "\n\n" + std::string(200, 'b'), line.size() + 2 + 50);
    // The blank line is the last that fits, or would be the first that does not.
    check_read(std::string(96, 'x') + "\r\n\r\n" + std::string(60, 'b'), 150);
    check_read(std::string(97, 'x') + "\r\n\r\n" + std::string(60, 'b'), 100);
}

TEST_CASE("a head that comes for ever in small pieces ends when its time is up") {
    Ends ends;
    auto hurried = bounds;
    hurried.head_bytes = 1'000'000'000;
    hurried.head_time = 200ms;
    hurried.read_time = 1min;
    std::thread client([&ends] {
        while (::send(ends.client.get(), "x", 1, MSG_NOSIGNAL) == 1)
            std::this_thread::sleep_for(1ms);
    });
    HttpConnection connection(ends.server.get(), hurried);
    CHECK(connection.has_begun());
    CHECK_FALSE(all_of(connection).empty());
    ends.server.reset();
    client.join();
}

TEST_CASE("who says nothing, has gone or takes nothing is left") {
    {
        const Ends ends;
        HttpConnection connection(ends.server.get(), bounds);
        CHECK_FALSE(connection.has_begun());
        CHECK_FALSE(connection.is_readable());
        const std::string much(1 << 20, 'x');
        CHECK(connection.is_writable());
        ssize_t put = 0;
        while ((put = connection.write(much.data(), much.size())) > 0) {
        }
        CHECK(put == -1);
        CHECK_FALSE(connection.is_writable());
    }
    Ends ends;
    ends.client.reset();
    HttpConnection connection(ends.server.get(), bounds);
    char octet = 0;
    CHECK(connection.read(&octet, 1) <= 0);
    CHECK(connection.write("x", 1) == -1);
}

TEST_CASE("a client that sends a head without end is answered for the part that may be") {
    Served served;
    for (const auto& at : {served.page_at, served.gateway_at}) {
        const UniqueFd socket = connect_to(at);
        REQUIRE(send_all(socket.get(), "GET / HTTP/1.1\r\nHost: localhost\r\n"));
        const std::string lines = [] {
            std::string text;
            while (text.size() < limits::http_head_bytes_max / 4)
                text += "X: y\r\n";
            return text;
        }();
        // More than what lies between two programs.
        constexpr std::size_t much = 1'024 * limits::http_head_bytes_max;
        std::size_t sent = 0;
        while (sent < much && send_all(socket.get(), lines))
            sent += lines.size();
        CHECK(sent < much);
        CHECK(get(at, "/").status >= 200);
    }
}

TEST_CASE("a client that sends its head an octet at a time is left after a while") {
    const Served served;
    const UniqueFd socket = connect_to(served.gateway_at);
    REQUIRE(send_all(socket.get(), "GET / HTTP/1.1\r\nHost: localhost\r\nX: "));
    constexpr auto pause = 50ms;
    const auto most = 20 * (limits::http_head_time_max / pause);
    auto sent = 0 * most;
    while (sent < most && send_all(socket.get(), "x")) {
        std::this_thread::sleep_for(pause);
        ++sent;
    }
    CHECK(sent < most);
}

}  // namespace flow29::api
