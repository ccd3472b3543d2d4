// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/control_session.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <string>

#include <flow29/limits.hpp>

#include <doctest/doctest.h>

#include "api/router.hpp"

namespace flow29::api {

TEST_CASE("so many lines wait for a caller who does not read, then only the last one is added") {
    const auto io = std::make_shared<asio::io_context>(1);
    auto pair = make_socket_pair();
    REQUIRE(pair);
    // Less than a line: what the system would hold is none of the session's.
    const int buffer_bytes = 4096;
    REQUIRE(::setsockopt(pair->there.get(), SOL_SOCKET, SO_SNDBUF, &buffer_bytes,
                         sizeof buffer_bytes) == 0);
    const std::string line = std::string(32 * 1024, 'x') + "\n";
    bool called = false;
    bool closed = false;
    const auto call = [&](const Request&, const EmitFn& emit) {
        called = true;
        for (std::size_t i = 0; i < 2 * limits::control_lines_waiting_max; ++i)
            emit(line, false);
        emit("last\n", true);
    };
    using Protocol = asio::local::stream_protocol;
    Protocol::socket socket(*io, Protocol(), pair->there.release());
    const auto session = std::make_shared<ControlSession>(
        io, std::move(socket), Caller::owner, call,
        [&closed](const std::shared_ptr<ControlSession>&) { closed = true; });
    session->start();
    REQUIRE(send_all(pair->here.get(), "{\"method\":\"status\"}\n"));
    while (!called)
        io->poll();
    io->poll();

    REQUIRE(::fcntl(pair->here.get(), F_SETFL, O_NONBLOCK) == 0);
    LineBuffer lines;
    std::size_t count = 0;
    std::string latest;
    for (bool end = false; !end;) {
        io->poll();
        const auto received = receive_some(pair->here.get());
        REQUIRE(received);
        end = received->end;
        REQUIRE(lines.append(received->octets));
        while (auto got = lines.pop_line()) {
            ++count;
            latest = std::move(*got);
        }
    }
    io->poll();  // what was cancelled holds the session
    CHECK(count == limits::control_lines_waiting_max + 1);
    CHECK(latest == "last");
    CHECK(closed);
}

TEST_CASE("a request is nested so deeply and no more") {
    const auto request_of = [](std::size_t depth) {
        // The request and its params are two.
        return R"({"method":"status","params":{"x":)" + std::string(depth - 2, '[') +
               std::string(depth - 2, ']') + "}}";
    };
    CHECK(parse_request(request_of(limits::json_depth_max)));
    for (const std::size_t depth : {limits::json_depth_max + 1, std::size_t{200'000}}) {
        const auto refused = parse_request(request_of(depth));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Errc::usage);
    }
}

}  // namespace flow29::api
