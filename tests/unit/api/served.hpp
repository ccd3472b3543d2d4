// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "api/gateway.hpp"
#include "api/http_server.hpp"
#include "api/unique_fd.hpp"
#include "api/web_address.hpp"

/// A node with its page and gateway, and a client that writes requests as they are.
namespace flow29::api {
inline const core::Endpoint any_port = *core::Endpoint::parse("127.0.0.1:0");
inline const std::string nobody_has(52, 'a');

struct Reply {
    int status = 0;
    std::string head;  ///< names in lower case
    std::string body;

    [[nodiscard]] std::string header(const std::string& name) const {
        const auto at = head.find("\n" + name + ": ");
        if (at == std::string::npos) return {};
        const auto value = at + name.size() + 3;
        return head.substr(value, head.find('\r', value) - value);
    }
};

inline Reply parse_reply(const std::string& text) {
    Reply reply;
    const auto split = text.find("\r\n\r\n");
    REQUIRE(split != std::string::npos);
    reply.head = text.substr(0, split + 2);
    reply.body = text.substr(split + 4);
    reply.status = std::atoi(reply.head.substr(reply.head.find(' ') + 1).c_str());
    bool in_name = true;
    for (char& c : reply.head) {
        if (c == '\n') in_name = true;
        if (c == ':') in_name = false;
        if (in_name && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return reply;
}

/// A connection to a server on this machine.
inline UniqueFd connect_to(const core::Endpoint& at) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(at.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    return socket;
}

/// Sends a request as it is written, and reads until the server closes.
inline Reply raw(const core::Endpoint& at, const std::string& request) {
    const UniqueFd socket = connect_to(at);
    REQUIRE(::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(request.size()));
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    return parse_reply(text);
}

/// `headers`: whole lines, each with its CRLF; "Host" is added unless it is among them.
inline Reply get(const core::Endpoint& at, const std::string& target,
                 const std::string& headers = {}, const std::string& method = "GET") {
    const std::string host =
        headers.find("Host:") == std::string::npos ? "Host: " + at.to_string() + "\r\n" : "";
    return raw(at, method + " " + target + " HTTP/1.1\r\n" + host + headers + "\r\n");
}

enum class Swarm { none, one_holder };

inline std::unique_ptr<Node> start_node(const std::filesystem::path& data,
                                        std::vector<std::string> join) {
    Config config;
    config.data = data;
    config.port = 0;
    config.listen = {"127.0.0.1"};
    config.bootstrap = std::move(join);
    config.capacity = ByteCount(64U << 20);
    auto started = Node::start(config);
    REQUIRE_MESSAGE(started.has_value(), (started ? "" : started.error().message()));
    return std::move(*started);
}

/// A node with its page and gateway, alone or with another one that keeps what it publishes.
struct Served {
    std::filesystem::path data;
    std::vector<std::string> join;  ///< whom the node is told of
    std::unique_ptr<Node> holder;
    std::unique_ptr<Node> node;
    std::optional<Router> router;
    std::unique_ptr<HttpServer> server;
    std::unique_ptr<Gateway> gateway;
    core::Endpoint page_at;
    core::Endpoint gateway_at;

    explicit Served(Swarm swarm = Swarm::none) {
        std::string name = (std::filesystem::temp_directory_path() / "flow29-web-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        data = name;
        if (swarm == Swarm::one_holder) {
            holder = start_node(data / "holder", {});
            join.push_back("127.0.0.1:" + std::to_string(holder->port()));
        }
        start();
    }
    void start() {
        node = start_node(data, join);
        router.emplace(*node, 4U);
        gateway = std::make_unique<Gateway>(*node);
        const auto at = gateway->listen(any_port);
        REQUIRE(at);
        gateway_at = *at;
        server = std::make_unique<HttpServer>(
            *node, *router, HttpServerOptions{data / "web.token", url_of(gateway_at)});
        const auto page = server->listen(any_port);
        REQUIRE(page);
        page_at = *page;
    }
    void stop() {
        server.reset();
        gateway.reset();
        node.reset();
        router.reset();
    }
    ~Served() {
        stop();
        holder.reset();
        std::filesystem::remove_all(data);
    }

    [[nodiscard]] std::string with_token() const {
        return "X-Flow29-Token: " + server->token() + "\r\n";
    }

    /// The base32 root of an object that the holder, if there is one, keeps.
    std::string publish(const std::string& content) {
        const auto path = data / "source";
        std::ofstream(path, std::ios::binary) << content;
        return publish_at(path);
    }
    /// The same of a file or directory that is there.
    std::string publish_at(const std::filesystem::path& path) {
        PublishRequest request;
        request.path = path;
        request.copies = 1;
        request.wait = holder ? PublishWait::copies : PublishWait::none;
        std::promise<Result<PublishResult>> promise;
        auto result = promise.get_future();
        node->publish(std::move(request), {},
                      [&](Result<PublishResult> done) { promise.set_value(std::move(done)); });
        const auto published = result.get();
        REQUIRE_MESSAGE(published.has_value(), (published ? "" : published.error().message()));
        return to_base32(published->root);
    }
};

inline std::string noise(std::size_t size) {
    std::string content(size, '\0');
    std::uint32_t state = 29;
    for (char& c : content) {
        state = state * 1'664'525U + 1'013'904'223U;
        c = static_cast<char>(state >> 24U);
    }
    return content;
}

}  // namespace flow29::api
