// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_listener.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <semaphore>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/limits.hpp>

#include "core/unique_fd.hpp"

namespace flow29::api {
namespace {

core::UniqueFd connected(const core::Endpoint& at) {
    core::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(at.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return fd;
}

/// Waits for the other end to close it, or to say something.
bool is_closed(int fd) {
    char octet = 0;
    const auto count = ::recv(fd, &octet, 1, 0);
    return count == 0 || (count < 0 && errno == ECONNRESET);
}

void get(int fd, const core::Endpoint& at, const std::string& path) {
    const std::string request =
        "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(at.port) + "\r\n\r\n";
    CHECK(::send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size()));
}

bool is_answered(int fd) {
    constexpr std::string_view good = "HTTP/1.1 200";
    std::array<char, good.size()> begin{};
    return ::recv(fd, begin.data(), begin.size(), MSG_WAITALL) ==
               static_cast<ssize_t>(begin.size()) &&
           std::string_view(begin.data(), begin.size()) == good;
}

}  // namespace

TEST_CASE("of the connections that nobody serves yet only so many wait") {
    std::binary_semaphore has_begun{0};
    std::binary_semaphore may_end{0};
    HttpListenerOptions options;
    options.threads = 1;
    HttpListener listener(
        [&](const HttpRequest& request, const std::stop_token&) {
            if (request.path == "/slow") {
                has_begun.release();
                may_end.acquire();
            }
            return http_text(200, "hello");
        },
        options);
    const auto at = listener.listen(*core::Endpoint::parse("127.0.0.1:0"));
    REQUIRE(at);
    const auto slow = connected(*at);
    get(slow.get(), *at, "/slow");
    has_begun.acquire();
    std::vector<core::UniqueFd> others;
    for (std::size_t i = 0; i < limits::http_connections_waiting_max + 5; ++i)
        others.push_back(connected(*at));
    for (std::size_t i = limits::http_connections_waiting_max; i < others.size(); ++i)
        CHECK(is_closed(others[i].get()));
    may_end.release();
    CHECK(is_answered(slow.get()));
    for (std::size_t i = 0; i < limits::http_connections_waiting_max; ++i) {
        get(others[i].get(), *at, "/");
        CHECK(is_answered(others[i].get()));
    }
}

}  // namespace flow29::api
