// SPDX-License-Identifier: GPL-3.0-or-later
// Ends of a connection that are not ours: no certificate, another protocol, no TLS, no manners.
#include <flow29/limits.hpp>

#include "core/log.hpp"
#include "echo_node.hpp"
#include "net/sockets.hpp"
#include "proto/message.hpp"

#include <doctest/doctest.h>
#include <gnutls/gnutls.h>
#include <asio/write.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace flow29::net {
namespace {

using asio::ip::tcp;
using namespace std::chrono_literals;

struct Stranger {
    bool certificate = true;
    std::string protocol = "flow29/1";
    Bytes greeting{};  ///< sent after the handshake
};

/// What GnuTLS said when a stranger's first read ended; 0: closed in good order.
int visit(const core::Endpoint& node, const Stranger& stranger) {
    asio::io_context io;
    tcp::socket socket(io);
    socket.connect(to_asio(node));
    gnutls_session_t session = nullptr;
    gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_ENABLE_RAWPK | GNUTLS_NO_SIGNAL);
    gnutls_priority_set_direct(session,
                               "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519"
                               ":-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK",
                               nullptr);
    gnutls_certificate_credentials_t credentials = nullptr;
    gnutls_certificate_allocate_credentials(&credentials);
    const auto identity = core::Identity::generate();
    if (stranger.certificate) {
        std::string pub = identity->public_pem();
        std::string priv = identity->private_pem();
        const gnutls_datum_t public_key{reinterpret_cast<unsigned char*>(pub.data()),
                                        static_cast<unsigned>(pub.size())};
        const gnutls_datum_t private_key{reinterpret_cast<unsigned char*>(priv.data()),
                                         static_cast<unsigned>(priv.size())};
        gnutls_certificate_set_rawpk_key_mem(credentials, &public_key, &private_key,
                                             GNUTLS_X509_FMT_PEM, nullptr, 0, nullptr, 0, 0);
    }
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    std::string protocol = stranger.protocol;
    const gnutls_datum_t name{reinterpret_cast<unsigned char*>(protocol.data()),
                              static_cast<unsigned>(protocol.size())};
    if (!protocol.empty()) gnutls_alpn_set_protocols(session, &name, 1, 0);
    gnutls_transport_set_int(session, socket.native_handle());
    int result = gnutls_handshake(session);
    if (result == 0 && !stranger.greeting.empty())
        gnutls_record_send(session, stranger.greeting.data(), stranger.greeting.size());
    std::array<char, 4096> octets{};
    long got = result;
    // The node's hello may come before it has judged what we sent.
    while (result == 0 && (got = gnutls_record_recv(session, octets.data(), octets.size())) > 0) {
    }
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    return static_cast<int>(got);
}

asio::awaitable<void> be_visited(AsioRuntime& runtime, EchoNode& node, Stranger stranger,
                                 int& outcome) {
    const core::Endpoint endpoint = node.endpoint();
    auto job = [endpoint, stranger] { return visit(endpoint, stranger); };
    outcome = co_await offload(runtime, job);
    CHECK(node.peers.empty());
    CHECK(node.requests == 0);
    // And the node is still there for others.
    EchoNode other(runtime, "127.0.0.1:0");
    auto peer = co_await other.transport->connect(endpoint, node.id(), std::nullopt);
    CHECK(peer.has_value());
}

Bytes frame_of(const proto::Message& message, std::uint64_t request) {
    const Bytes head = proto::encode_head(request, message);
    const auto lengths = proto::FrameLengths{static_cast<std::uint32_t>(head.size()), 0}.encode();
    Bytes frame(lengths.size() + head.size());
    std::copy(head.begin(), head.end(), std::copy(lengths.begin(), lengths.end(), frame.begin()));
    return frame;
}

TEST_CASE("a stranger is refused before it is anybody's peer") {
    Stage stage;
    EchoNode node(stage.runtime, "127.0.0.1:0");
    Stranger stranger;
    int outcome = 1;
    SUBCASE("no certificate") {
        stranger.certificate = false;
    }
    SUBCASE("another protocol") {
        stranger.protocol = "http/1.1";
    }
    SUBCASE("no protocol") {
        stranger.protocol = "";
    }
    SUBCASE("a request before its hello") {
        stranger.greeting = frame_of(proto::Ping{}, 1);
    }
    SUBCASE("an impossible length") {
        stranger.greeting = Bytes(64, 0xff);
    }
    SUBCASE("an unknown message") {
        stranger.greeting = {0, 0, 0, 4, 0, 0, 0, 0, 0x93, 0x70, 0x00, 0x90};
    }
    stage.run(be_visited(stage.runtime, node, stranger, outcome));
    CHECK(outcome <= 0);
}

bool answer_http(const std::shared_ptr<tcp::acceptor>& acceptor) {
    asio::io_context io;
    tcp::socket socket(io);
    acceptor->accept(socket);
    std::error_code ignored;
    asio::write(socket, asio::buffer("HTTP/1.1 400 Bad Request\r\n\r\n"), ignored);
    return true;
}

asio::awaitable<void> serve_http(AsioRuntime& runtime, std::shared_ptr<tcp::acceptor> acceptor) {
    auto job = [acceptor] { return answer_http(acceptor); };
    const bool answered = co_await offload(runtime, job);
    CHECK(answered);
}

asio::awaitable<void> dial_non_tls(AsioRuntime& runtime, EchoNode& node) {
    const tcp::endpoint any(asio::ip::make_address("127.0.0.1"), 0);
    const auto acceptor = std::make_shared<tcp::acceptor>(runtime.context(), any);
    spawn(runtime, serve_http(runtime, acceptor));
    const core::Endpoint endpoint = from_asio(acceptor->local_endpoint());
    auto peer = co_await node.transport->connect(endpoint, std::nullopt, std::nullopt);
    REQUIRE_FALSE(peer);
    CHECK(peer.error().code == Errc::peer_unreachable);
}

TEST_CASE("dialling something that speaks no TLS fails as unreachable") {
    Stage stage;
    EchoNode node(stage.runtime, "127.0.0.1:0");
    stage.run(dial_non_tls(stage.runtime, node));
}

asio::awaitable<void> be_flooded(AsioRuntime& runtime, EchoNode& node) {
    std::vector<tcp::socket> silent;
    for (unsigned i = 0; i < limits::handshakes_max; ++i) {
        silent.emplace_back(runtime.context());
        silent.back().connect(to_asio(node.endpoint()));
    }
    EchoNode other(runtime, "127.0.0.1:0");
    auto peer = co_await other.transport->connect(node.endpoint(), node.id(), std::nullopt);
    CHECK(peer.has_value());
    // The oldest made room.
    char octet = 0;
    std::error_code ec;
    silent.front().read_some(asio::buffer(&octet, 1), ec);
    CHECK(ec);
    silent.back().non_blocking(true);
    silent.back().read_some(asio::buffer(&octet, 1), ec);
    CHECK(ec == asio::error::would_block);
}

TEST_CASE("a newcomer displaces the oldest of too many unfinished handshakes") {
    Stage stage;
    EchoNode node(stage.runtime, "127.0.0.1:0");
    stage.run(be_flooded(stage.runtime, node));
}

bool is_closed(tcp::socket& socket) {
    char octet = 0;
    std::error_code ec;
    socket.non_blocking(true);
    socket.read_some(asio::buffer(&octet, 1), ec);
    return ec && ec != asio::error::would_block;
}

asio::awaitable<void> be_flooded_from_one_network(AsioRuntime& runtime, EchoNode& node) {
    const tcp::endpoint elsewhere(asio::ip::make_address("127.0.9.1"), 0);
    tcp::socket patient(runtime.context());
    patient.open(tcp::v4());
    patient.bind(elsewhere);
    patient.connect(to_asio(node.endpoint()));
    std::vector<tcp::socket> silent;
    for (unsigned i = 0; i < 2 * limits::handshakes_max; ++i) {
        silent.emplace_back(runtime.context());
        silent.back().connect(to_asio(node.endpoint()));
    }
    std::function<bool()> displaced = [&silent] {
        return is_closed(silent[limits::handshakes_max]);
    };
    co_await until(runtime, std::move(displaced));
    CHECK_FALSE(is_closed(silent.back()));
    CHECK_FALSE(is_closed(patient));
}

TEST_CASE("who floods from one network displaces his own handshakes and nobody else's") {
    Stage stage;
    EchoNode node(stage.runtime, "127.0.0.1:0");
    stage.run(be_flooded_from_one_network(stage.runtime, node));
}

asio::awaitable<void> run_out_of_descriptors(AsioRuntime& runtime, EchoNode& node,
                                             EchoNode& other) {
    tcp::socket visitor(runtime.context());
    visitor.open(tcp::v4());
    std::vector<int> taken;
    for (int fd = ::dup(0); fd >= 0; fd = ::dup(0))
        taken.push_back(fd);
    visitor.connect(to_asio(node.endpoint()));
    co_await sleep_for(runtime, 50ms);
    for (const int fd : taken)
        ::close(fd);
    auto peer = co_await other.transport->connect(node.endpoint(), node.id(), std::nullopt);
    CHECK(peer.has_value());
}

TEST_CASE("a node that ran out of descriptors accepts again when there are some") {
    Stage stage;
    EchoNode node(stage.runtime, "127.0.0.1:0");
    EchoNode other(stage.runtime, "127.0.0.1:0");
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit tight = before;
    tight.rlim_cur = 256;
    ::setrlimit(RLIMIT_NOFILE, &tight);
    // The complaint is expected; and UBSan needs descriptors to look at the logger.
    core::log::set_level(core::log::Level::error);
    stage.run(run_out_of_descriptors(stage.runtime, node, other));
    core::log::set_level(core::log::Level::warn);
    ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace flow29::net
