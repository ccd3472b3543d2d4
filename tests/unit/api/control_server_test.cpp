// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/control_server.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <future>
#include <optional>

#include <flow29/limits.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "api/fd_channel.hpp"

namespace flow29::api {
namespace {

using Json = nlohmann::json;

const std::string root(52, 'a');

/// A node without a swarm, and a server in front of it.
struct Served {
    std::filesystem::path data;
    std::unique_ptr<Node> node;
    std::optional<Router> router;
    std::optional<ControlServer> server;

    Served() {
        std::string name = (std::filesystem::temp_directory_path() / "flow29-ctl-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        data = name;
        Config config;
        config.data = data;
        config.port = 0;
        config.listen = {"127.0.0.1"};
        config.capacity = ByteCount(64U << 20);
        auto started = Node::start(config);
        REQUIRE_MESSAGE(started.has_value(), (started ? "" : started.error().message()));
        node = std::move(*started);
        router.emplace(*node, 4U);
        server.emplace(*router);
    }
    ~Served() {
        server.reset();
        node.reset();
        std::filesystem::remove_all(data);
    }
};

/// Everything that comes until the end, as objects.
std::vector<Json> lines_from(int socket) {
    LineBuffer buffer;
    std::vector<Json> lines;
    for (;;) {
        auto received = receive_some(socket);
        REQUIRE(received);
        if (received->end) return lines;
        REQUIRE(buffer.append(received->octets));
        while (const auto line = buffer.pop_line())
            lines.push_back(Json::parse(*line));
    }
}

std::vector<Json> answer_to(ControlServer& server, const std::string& request,
                            const std::vector<int>& descriptors = {}) {
    auto socket = server.connect();
    REQUIRE(socket);
    REQUIRE(send_all(socket->get(), request + "\n", descriptors));
    auto lines = lines_from(socket->get());
    REQUIRE_FALSE(lines.empty());
    return lines;
}

void check_error(const Json& line, const std::string& code, const std::string& part) {
    CAPTURE(line.dump());
    CHECK(line["event"] == "error");
    CHECK(line["code"] == code);
    CHECK(line["message"].get<std::string>().find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("a request is answered with lines, the last of which says how it ended") {
    Served served;
    const auto status = answer_to(*served.server, R"({"method":"status","params":{}})").back();
    CHECK(status["event"] == "done");
    CHECK(status["node"] == to_hex(served.node->id()));
    CHECK(status["port"] == served.node->port());
    CHECK(answer_to(*served.server, R"({"method":"ls"})").back()["objects"] == Json::array());
}

TEST_CASE("malformed requests are told what is wrong") {
    Served served;
    const auto error_of = [&](const std::string& request) {
        return answer_to(*served.server, request).back();
    };
    check_error(error_of("nonsense"), "usage", "not a JSON object");
    check_error(error_of("{}"), "usage", "no \"method\"");
    check_error(error_of(R"({"method":5})"), "usage", "\"method\" (string)");
    check_error(error_of(R"({"method":"dance"})"), "usage", "unknown method \"dance\"");
    check_error(error_of(R"({"method":"status","params":{"x":1}})"), "usage", "parameter \"x\"");
    check_error(error_of(R"({"method":"health","params":{}})"), "usage", "\"link\" must be given");
    check_error(error_of(R"({"method":"fetch","params":{"link":")" + root + R"(","path":"x"}})"),
                "usage", "\"path\" must be absolute");
    check_error(error_of(R"({"method":"cat","params":{"link":")" + root + R"("}})"), "usage",
                "needs a socket");
    check_error(error_of(R"({"method":"publish","params":{"path":"/x","copies":17}})"), "usage",
                "1 to 16");
    check_error(error_of(R"({"method":"publish","params":{"path":"/x","extent_chunks":3}})"),
                "usage", "power of two");
    check_error(error_of(R"({"method":"publish","params":{"path":"/x","wait":"later"}})"), "usage",
                "copies, announced or none");
    check_error(error_of(std::string(limits::control_line_bytes_max + 1, 'x')), "usage",
                "longer than");
}

TEST_CASE("a lease lasts as long as one may") {
    Served served;
    const auto error_of = [&](std::chrono::milliseconds lease) {
        const Json params{{"path", "/nowhere"}, {"lease_ms", lease.count()}};
        const Json request{{"method", "publish"}, {"params", params}};
        return answer_to(*served.server, request.dump()).back()["code"].get<std::string>();
    };
    using std::chrono::milliseconds;
    CHECK(error_of(milliseconds(limits::lease_min) - milliseconds(1)) == "usage");
    CHECK(error_of(limits::lease_min) != "usage");
    CHECK(error_of(limits::lease_max) != "usage");
    CHECK(error_of(milliseconds(limits::lease_max) + milliseconds(1)) == "usage");
}

TEST_CASE("so many programs are served at a time, one more is told so") {
    Served served;
    std::vector<UniqueFd> others;
    for (std::size_t i = 0; i < limits::control_connections_max; ++i) {
        auto socket = served.server->connect();
        REQUIRE(socket);
        others.push_back(std::move(*socket));
    }
    // Nothing is sent: what is not read would have the answer thrown away.
    auto one_more = served.server->connect();
    REQUIRE(one_more);
    check_error(lines_from(one_more->get()).back(), "refused", "too many connections");
    REQUIRE(send_all(others.front().get(), std::string(R"({"method":"status"})") + "\n"));
    CHECK(lines_from(others.front().get()).back()["event"] == "done");
}

TEST_CASE("a transport that may not name files cannot") {
    Served served;
    std::string line;
    Request request;
    request.method = "publish";
    request.params = R"({"path":"/etc/hostname"})";
    served.router->call(std::move(request), [&](std::string text, bool) { line = text; });
    check_error(Json::parse(line), "refused", "cannot be named");
}

TEST_CASE("a member of the group uses the node, and does not change it") {
    Served served;
    const auto asked = [&](Request request) {
        request.is_member = true;
        request.may_name_paths = static_cast<bool>(request.input);
        const auto last = std::make_shared<std::promise<std::string>>();
        served.router->call(std::move(request), [last](std::string line, bool is_last) {
            if (is_last) last->set_value(std::move(line));
        });
        return Json::parse(last->get_future().get());
    };
    const auto asked_for = [&](const std::string& method, const std::string& params = {}) {
        Request request;
        request.method = method;
        request.params = params;
        return asked(std::move(request));
    };
    for (const char* const method : {"status", "peers", "ls", "transfers", "limit", "block"})
        CHECK_MESSAGE(asked_for(method)["event"] == "done", method);
    CHECK(asked_for("limit", "{}")["event"] == "done");
    for (const char* const method : {"leave", "join", "invite", "log", "unblock"})
        check_error(asked_for(method), "refused", "whose node it is");
    check_error(asked_for("log", R"({"level":"warn"})"), "refused", "whose node it is");
    check_error(asked_for("limit", R"({"up":0})"), "refused", "whose node it is");
    check_error(asked_for("block", R"({"name":")" + root + R"("})"), "refused", "whose node it is");

    check_error(asked_for("publish", R"({"path":"/etc/hostname"})"), "refused", "cannot be named");
    check_error(asked_for("fetch", R"({"link":")" + root + R"(","path":"/tmp/x"})"), "refused",
                "cannot be named");
    // In it, the node would look with its own rights.
    Request directory;
    directory.method = "publish";
    directory.params = R"({"name":"all","wait":"none"})";
    directory.input.reset(::open(served.data.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(directory.input);
    check_error(asked(std::move(directory)), "refused", "a file that it opened");
    Request file;
    file.method = "publish";
    file.params = R"({"name":"one","wait":"none"})";
    std::ofstream(served.data / "one") << "one";
    file.input.reset(::open((served.data / "one").c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(file.input);
    CHECK(asked(std::move(file))["event"] == "done");
}

TEST_CASE("two nodes do not share one place") {
    Served first;
    Served second;
    const auto path = first.data / "shared.sock";
    REQUIRE(first.server->listen(path, ::getegid()));
    const auto taken = second.server->listen(path, ::getegid());
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Errc::exists_already);
    REQUIRE(connect_to(path));
    first.server.reset();
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK(second.server->listen(path, ::getegid()));
}

TEST_CASE("cat refuses a descriptor that is no socket") {
    Served served;
    const api::UniqueFd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    const auto line = answer_to(
        *served.server, R"({"method":"cat","params":{"link":")" + root + R"("}})", {nowhere.get()});
    check_error(line.back(), "usage", "only write to a socket");
}

TEST_CASE("so many descriptors come with a request, however it is cut; one more is refused") {
    Served served;
    auto socket = served.server->connect();
    REQUIRE(socket);
    const std::vector<int> most(limits::control_descriptors_max, socket->get());
    const std::string rest = R"("status"})"
                             "\n";
    REQUIRE(send_all(socket->get(), R"({"method":)", most));
    REQUIRE(send_all(socket->get(), rest, {socket->get()}));
    check_error(lines_from(socket->get()).back(), "refused", "too many descriptors");

    auto another = served.server->connect();
    REQUIRE(another);
    REQUIRE(send_all(another->get(), R"({"method":)", most));
    REQUIRE(send_all(another->get(), rest));
    CHECK(lines_from(another->get()).back()["event"] == "done");
}

TEST_CASE("closing the sending side cancels the operation") {
    Served served;
    auto socket = served.server->connect();
    REQUIRE(socket);
    REQUIRE(send_all(socket->get(), R"({"method":"fetch","params":{"link":")" + root +
                                        R"(","path":")" + (served.data / "out").string() +
                                        R"("}})"
                                        "\n"));
    ::shutdown(socket->get(), SHUT_WR);
    const auto lines = lines_from(socket->get());
    // Whether it was cancelled or had already found that there is no swarm, it ends, and says so.
    REQUIRE_FALSE(lines.empty());
    CHECK(lines.back()["event"] == "error");
}

TEST_CASE("a server that ends answers what was asked of it") {
    Served served;
    auto socket = served.server->connect();
    REQUIRE(socket);
    REQUIRE(send_all(socket->get(), R"({"method":"status"})"
                                    "\n"));
    const auto lines = lines_from(socket->get());
    CHECK(lines.size() == 1);
    auto idle = served.server->connect();
    REQUIRE(idle);
    served.server.reset();
    CHECK(lines_from(idle->get()).empty());
}

TEST_CASE("the control socket serves, is the owner's alone and goes with the server") {
    Served served;
    const auto path = served.data / "control.sock";
    REQUIRE(served.server->listen(path));
    const auto socket = connect_to(path);
    REQUIRE(socket);
    REQUIRE(send_all(socket->get(), R"({"method":"peers"})"
                                    "\n"));
    CHECK(lines_from(socket->get()).back()["peers"] == Json::array());
    served.server.reset();
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("connections past the limit are told so") {
    Served served;
    std::vector<UniqueFd> open;
    for (int i = 0; i < 64; ++i) {
        auto socket = served.server->connect();
        REQUIRE(socket);
        open.push_back(std::move(*socket));
    }
    auto refused = served.server->connect();
    REQUIRE(refused);
    check_error(lines_from(refused->get()).back(), "refused", "too many connections");
    open.clear();
}

}  // namespace flow29::api
