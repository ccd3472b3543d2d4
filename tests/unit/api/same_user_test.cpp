// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/same_user.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "core/unique_fd.hpp"

using namespace flow29;
using api::owners_in;

namespace {

// As Linux writes it: user 1000 from port 0xB22C to 0x0B72, root's own end of it, a connection of
// user 33's from 0xC000 and one that has ended.
constexpr std::string_view table =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n"
    "   0: 0100007F:0B72 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 "
    "31 1 0000000000000000 100 0 0 10 0\n"
    "   1: 0100007F:B22C 0100007F:0B72 01 00000000:00000000 00:00000000 00000000  1000        0 "
    "32 1 0000000000000000 20 4 30 10 -1\n"
    "   2: 0100007F:0B72 0100007F:B22C 01 00000000:00000000 00:00000000 00000000     0        0 "
    "33 1 0000000000000000 20 4 30 10 -1\n"
    "   3: 0100007F:C000 0100007F:0B72 01 00000000:00000000 00:00000000 00000000    33        0 "
    "34 1 0000000000000000 20 4 30 10 -1\n"
    "   4: 0100007F:C001 0100007F:0B72 06 00000000:00000000 03:00001770 00000000     0        0 "
    "0 3 0000000000000000\n";

api::LocalConnection connection(std::uint16_t client_port, std::uint16_t server_port,
                                const std::string& client = "127.0.0.1") {
    const auto at = [](const std::string& host, std::uint16_t port) {
        auto end = *core::Endpoint::parse(host + ":1");
        end.port = port;
        return end;
    };
    return {at(client, client_port), at(client == "[::1]" ? client : "127.0.0.1", server_port)};
}

bool is_of(std::uint16_t client, std::uint64_t user, std::string_view in = table) {
    const auto owners = owners_in(in, connection(client, 0x0B72), user);
    return owners.any && !owners.foreign;
}

}  // namespace

TEST_CASE("a connection is its user's, root's, or a stranger's") {
    CHECK(is_of(0xB22C, 1000));
    CHECK_FALSE(is_of(0xB22C, 33));
    CHECK_FALSE(is_of(0xC000, 1000));
    CHECK_FALSE(is_of(0xC001, 1000));  // ended, and so anybody's
    CHECK_FALSE(is_of(0xC002, 1000));
    CHECK_FALSE(owners_in("", connection(1, 2), 0).any);
    CHECK_FALSE(owners_in("a line of something else\n\n", connection(1, 2), 0).any);
}

TEST_CASE("the same ports at another loopback address make it nobody's") {
    const std::string both = std::string(table) +
                             "   5: 0900007F:B22C 0100007F:0B72 01 00000000:00000000 00:00000000 "
                             "00000000    33        0 35 1 0000000000000000 20 4 30 10 -1\n";
    CHECK_FALSE(is_of(0xB22C, 1000, both));
    CHECK_FALSE(is_of(0xB22C, 33, both));
}

TEST_CASE("another's connection is not vouched for by one with the same ports") {
    // Its own row is in neither table when they are read.
    CHECK_FALSE(owners_in(table, connection(0xB22C, 0x0B72, "127.0.1.2"), 1000).any);
    CHECK_FALSE(owners_in(table, connection(0xB22C, 0x0B72, "[::1]"), 1000).any);
    CHECK_FALSE(owners_in(table, connection(0xB22C, 0x0B73), 1000).any);
}

TEST_CASE("a table of IPv6 is read, and v4 in it is v4") {
    const std::string_view v6 =
        "   0: 00000000000000000000000001000000:B22C 00000000000000000000000001000000:0B72 01 "
        "00000000:00000000 00:00000000 00000000  1000        0 36 1 0000000000000000 20 4 30 10 "
        "-1\n"
        "   1: 0000000000000000FFFF00000100007F:B22D 0000000000000000FFFF00000100007F:0B72 01 "
        "00000000:00000000 00:00000000 00000000  1000        0 37 1 0000000000000000 20 4 30 10 "
        "-1\n"
        "   2: 000000:B22E 0100007F:0B72 01 00000000:00000000 00:00000000 00000000  1000        0 "
        "38 1 0000000000000000 20 4 30 10 -1\n";
    CHECK(owners_in(v6, connection(0xB22C, 0x0B72, "[::1]"), 1000).any);
    CHECK_FALSE(owners_in(v6, connection(0xB22C, 0x0B72), 1000).any);
    CHECK(is_of(0xB22D, 1000, v6));
    CHECK_FALSE(is_of(0xB22E, 1000, v6));
}

TEST_CASE("the same ports of a connection that is being closed make it nobody's") {
    for (const char* const state : {"04", "05", "06", "08", "09", "0B"}) {
        CAPTURE(state);
        const std::string both = std::string(table) + "   5: 0200007F:B22C 0100007F:0B72 " + state +
                                 " 00000000:00000000 00:00000000 00000000    33        0 35 1 "
                                 "0000000000000000 20 4 30 10 -1\n";
        CHECK_FALSE(is_of(0xB22C, 1000, both));
        CHECK_FALSE(is_of(0xB22C, 33, both));
        CHECK_FALSE(is_of(0xB22C, 0, both));
    }
}

TEST_CASE("this process's own connection is its own") {
    const core::UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const address = reinterpret_cast<sockaddr*>(&at);  // the sockets' own convention
    socklen_t size = sizeof at;
    REQUIRE(::bind(listener.get(), address, size) == 0);
    REQUIRE(::listen(listener.get(), 1) == 0);
    REQUIRE(::getsockname(listener.get(), address, &size) == 0);
    const auto server_port = ntohs(at.sin_port);
    const core::UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), address, size) == 0);
    REQUIRE(::getsockname(client.get(), address, &size) == 0);
    CHECK(api::is_of_same_user(connection(ntohs(at.sin_port), server_port)));
    CHECK_FALSE(api::is_of_same_user(connection(ntohs(at.sin_port), 1)));
    CHECK_FALSE(api::is_of_same_user(connection(ntohs(at.sin_port), server_port, "127.0.0.2")));
}
