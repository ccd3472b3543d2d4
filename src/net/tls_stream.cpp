// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tls_stream.hpp"

#include "core/assert.hpp"
#include "core/descriptor.hpp"

#include <fmt/format.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace flow29::net {
namespace {

constexpr const char* priority_text =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3"
    ":-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"
    ":-GROUP-ALL:+GROUP-X25519:-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK";
constexpr std::string_view protocol = "flow29/1";
constexpr std::string_view exporter_label = "EXPORTER-flow29-swarm";

gnutls_datum_t datum(std::string_view text) {
    // GnuTLS takes what it only reads as non-const.
    auto* const octets = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
    return {octets, static_cast<unsigned>(text.size())};
}

/// Failed start-up: nothing that a peer does comes here.
void require(int result, const char* what) {
    if (result < 0) throw std::runtime_error(fmt::format("{}: {}", what, gnutls_strerror(result)));
}

}  // namespace

struct TlsCredentials::State {
    gnutls_certificate_credentials_t certificate = nullptr;
    gnutls_priority_t priority = nullptr;
    NodeId own_id;

    State() = default;
    State(const State&) = delete;
    ~State() {
        if (certificate != nullptr) gnutls_certificate_free_credentials(certificate);
        if (priority != nullptr) gnutls_priority_deinit(priority);
    }
};

struct TlsStream::State {
    gnutls_session_t session = nullptr;
    std::shared_ptr<const TlsCredentials> credentials;
    Options options;
    int socket = -1;
    bool more = false;
    bool established = false;
    std::optional<PublicKey> proved;
    std::optional<Error> refusal;
    Bytes knock;    // a client's own
    Bytes prelude;  // what came of the knock, or of the answer to it
    std::size_t prelude_wanted = 0;
    Bytes own_proof;     // to be sent
    Bytes wanted_proof;  // of the peer; empty once it came
    Bytes proof;         // what came of it

    ~State() {
        if (session != nullptr) gnutls_deinit(session);
    }

    /// GnuTLS's own push function has no way to say that more follows.
    static ssize_t push(gnutls_transport_ptr_t self, const giovec_t* parts, int count) {
        const State& state = *static_cast<State*>(self);
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(parts);
        message.msg_iovlen = static_cast<std::size_t>(count);
        return ::sendmsg(state.socket, &message,
                         MSG_NOSIGNAL | MSG_DONTWAIT | (state.more ? MSG_MORE : 0));
    }

    /// In a private swarm: takes what stands in front of TLS away, and judges it.
    static ssize_t pull(gnutls_transport_ptr_t self, void* out, std::size_t size) {
        State& state = *static_cast<State*>(self);
        while (state.prelude.size() < state.prelude_wanted) {
            std::array<std::uint8_t, SwarmGate::knock_bytes> octets{};
            const std::size_t left = state.prelude_wanted - state.prelude.size();
            const ssize_t got = ::recv(state.socket, octets.data(), left, MSG_DONTWAIT);
            if (got <= 0) return got;
            state.prelude.insert(state.prelude.end(), octets.begin(), octets.begin() + got);
            if (state.prelude.size() == state.prelude_wanted && !state.take_prelude()) {
                gnutls_transport_set_errno(state.session, ECONNABORTED);
                return -1;
            }
        }
        return ::recv(state.socket, out, size, MSG_DONTWAIT);
    }

    bool take_prelude() {
        if (options.role == Role::client) {
            if (core::equal_secrets(prelude, options.gate->answer_to(knock))) return true;
            return refuse(Errc::verification_failed, "the other end has not the swarm's key");
        }
        if (!options.gate->admits(prelude, options.at))
            return refuse(Errc::verification_failed, "the other end has not the swarm's key");
        const auto answer = options.gate->answer_to(prelude);
        const ssize_t sent =
            ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
        if (sent == static_cast<ssize_t>(answer.size())) return true;
        return refuse(Errc::peer_unreachable, "the connection takes nothing");
    }

    static int verify(gnutls_session_t session) {
        State& state = *static_cast<State*>(gnutls_session_get_ptr(session));
        return state.accept_peer() ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
    }

    bool accept_peer() {
        unsigned count = 0;
        const gnutls_datum_t* const spki = gnutls_certificate_get_peers(session, &count);
        if (spki == nullptr || count != 1 ||
            gnutls_certificate_type_get2(session, GNUTLS_CTYPE_PEERS) != GNUTLS_CRT_RAWPK)
            return refuse(Errc::verification_failed, "the peer showed no raw public key");
        const auto key = core::public_key_from_spki({spki->data, spki->size});
        if (!key) return refuse(Errc::verification_failed, "the peer's key is not Ed25519");
        const NodeId id = core::node_id_of(*key);
        if (id == credentials->own_id())
            return refuse(Errc::refused, "this very node is at the other end");
        if (options.expected && id != *options.expected)
            return refuse(Errc::verification_failed, "another node is at this address");
        if (options.position && core::dht_position(id) != *options.position)
            return refuse(Errc::verification_failed, "another node is at this address");
        proved = *key;
        return true;
    }

    bool refuse(Errc code, const char* why) {
        refusal = Error{code, why};
        return false;
    }
};

TlsCredentials::TlsCredentials(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsCredentials::~TlsCredentials() = default;

const NodeId& TlsCredentials::own_id() const {
    return state_->own_id;
}

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::create(
    const core::Identity& identity) {
    auto state = std::make_unique<State>();
    state->own_id = identity.id();
    const std::string private_pem = identity.private_pem();
    const std::string public_pem = identity.public_pem();
    const gnutls_datum_t private_key = datum(private_pem);
    const gnutls_datum_t public_key = datum(public_pem);
    int result = gnutls_certificate_allocate_credentials(&state->certificate);
    if (result >= 0)
        result =
            gnutls_certificate_set_rawpk_key_mem(state->certificate, &public_key, &private_key,
                                                 GNUTLS_X509_FMT_PEM, nullptr, 0, nullptr, 0, 0);
    if (result >= 0) result = gnutls_priority_init(&state->priority, priority_text, nullptr);
    if (result < 0)
        return fail(Errc::other, fmt::format("setting up TLS: {}", gnutls_strerror(result)));
    // A constructor that only this class may call.
    return std::shared_ptr<const TlsCredentials>(new TlsCredentials(std::move(state)));
}

TlsStream::TlsStream(asio::ip::tcp::socket socket,
                     std::shared_ptr<const TlsCredentials> credentials, Options options)
    : socket_(std::move(socket)), state_(std::make_unique<State>()) {
    State& state = *state_;
    state.credentials = std::move(credentials);
    state.options = options;
    state.socket = socket_->native_handle();
    const bool server = options.role == Role::server;
    require(
        gnutls_init(&state.session, (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK |
                                        GNUTLS_NO_SIGNAL | GNUTLS_ENABLE_RAWPK | GNUTLS_NO_TICKETS),
        "gnutls_init");
    gnutls_session_t session = state.session;
    const auto& shared = *state.credentials->state_;
    require(gnutls_priority_set(session, shared.priority), "gnutls_priority_set");
    require(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, shared.certificate),
            "gnutls_credentials_set");
    const gnutls_datum_t name = datum(protocol);
    require(gnutls_alpn_set_protocols(session, &name, 1, GNUTLS_ALPN_MANDATORY), "ALPN");
    gnutls_session_set_ptr(session, &state);
    gnutls_session_set_verify_function(session, &State::verify);
    if (server) gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    gnutls_handshake_set_timeout(session, 0);
    if (state.options.gate) {
        state.prelude_wanted = server ? SwarmGate::knock_bytes : SwarmGate::answer_bytes;
        gnutls_transport_set_ptr2(session, &state, &state);
        gnutls_transport_set_vec_push_function(session, &State::push);
        gnutls_transport_set_pull_function(session, &State::pull);
        return;
    }
    gnutls_transport_set_ptr2(session,
                              reinterpret_cast<gnutls_transport_ptr_t>(  // GnuTLS's own convention
                                  static_cast<std::intptr_t>(state.socket)),
                              &state);
    gnutls_transport_set_vec_push_function(session, &State::push);
}

TlsStream::~TlsStream() = default;

bool TlsStream::send_knock() {
    State& state = *state_;
    state.knock = state.options.gate->knock(state.options.at);
    const ssize_t sent = ::send(state.socket, state.knock.data(), state.knock.size(),
                                MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
    return sent == static_cast<ssize_t>(state.knock.size());
}

void TlsStream::prepare_proofs() {
    State& state = *state_;
    std::array<char, 32> exported{};
    require(gnutls_prf_rfc5705(state.session, exporter_label.size(), exporter_label.data(), 0,
                               nullptr, exported.size(), exported.data()),
            "the TLS exporter");
    const ByteView channel(reinterpret_cast<const std::uint8_t*>(exported.data()), exported.size());
    const auto client = state.options.gate->proof(SwarmGate::Role::client, channel);
    const auto server = state.options.gate->proof(SwarmGate::Role::server, channel);
    const bool is_client = state.options.role == Role::client;
    const auto& own = is_client ? client : server;
    const auto& wanted = is_client ? server : client;
    state.own_proof.assign(own.begin(), own.end());
    state.wanted_proof.assign(wanted.begin(), wanted.end());
}

/// A server says nothing before it has seen the client's. A client has seen the answer to its knock
/// and need not wait: what it reads first is the server's.
asio::awaitable<bool> TlsStream::exchange_proofs() {
    prepare_proofs();
    while (state_->options.role == Role::server && !state_->wanted_proof.empty()) {
        const Progress progress = read_proof();
        if (progress.status == Status::ended) co_return false;
        if (progress.status == Status::moved) continue;
        const bool ready = co_await wait(progress.status);
        if (!ready) co_return false;
    }
    const bool sent = co_await send_proof();
    co_return sent;
}

asio::awaitable<bool> TlsStream::send_proof() {
    Progress progress = try_write(state_->own_proof, false);
    while (progress.status == Status::wants_read || progress.status == Status::wants_write) {
        const bool ready = co_await wait(progress.status);
        if (!ready) co_return false;
        progress = resume_write(false);
    }
    co_return progress.status == Status::moved;
}

TlsStream::Progress TlsStream::read_proof() {
    State& state = *state_;
    std::array<std::uint8_t, SwarmGate::proof_bytes> octets{};
    const std::span room(octets.data(), state.wanted_proof.size() - state.proof.size());
    const Progress progress = receive(room);
    if (progress.status != Status::moved) return progress;
    const auto got = room.first(progress.octets);
    state.proof.insert(state.proof.end(), got.begin(), got.end());
    if (state.proof.size() < state.wanted_proof.size()) return progress;
    if (!core::equal_secrets(state.proof, state.wanted_proof)) {
        error_ = {Errc::verification_failed, "the other end does not prove the swarm's key"};
        return {};
    }
    state.wanted_proof.clear();
    return progress;
}

asio::awaitable<Result<PublicKey>> TlsStream::handshake() {
    if (open() && state_->options.gate && state_->options.role == Role::client && !send_knock())
        co_return fail(Errc::peer_unreachable, "the connection takes nothing");
    while (open()) {
        const int result = gnutls_handshake(state_->session);
        if (result == GNUTLS_E_AGAIN) {
            const Status wanted = gnutls_record_get_direction(state_->session) == 0
                                      ? Status::wants_read
                                      : Status::wants_write;
            const bool ready = co_await wait(wanted);
            if (!ready) break;
            continue;
        }
        if (result < 0 && gnutls_error_is_fatal(result) == 0) continue;
        auto outcome = handshake_outcome(result);
        if (outcome && state_->options.gate) {
            const bool in_swarm = co_await exchange_proofs();
            if (!in_swarm && !open()) break;
            if (!in_swarm) co_return fail(error_);
        }
        if (outcome) state_->established = true;
        co_return outcome;
    }
    co_return fail(Errc::peer_unreachable, "the connection was closed during the TLS handshake");
}

Result<PublicKey> TlsStream::handshake_outcome(int result) {
    State& state = *state_;
    if (state.refusal) return fail(*state.refusal);
    if (result < 0) {
        static_cast<void>(progress(result));
        return fail(error_);
    }
    gnutls_datum_t selected{};
    if (gnutls_alpn_get_selected_protocol(state.session, &selected) < 0 ||
        std::string_view(reinterpret_cast<const char*>(selected.data), selected.size) != protocol)
        return fail(Errc::peer_unreachable, "the other end does not speak flow29/1");
    if (!state.proved) return fail(Errc::verification_failed, "the peer proved no key");
    return *state.proved;
}

TlsStream::Progress TlsStream::progress(long result) {
    gnutls_session_t session = state_->session;
    if (result > 0) return {Status::moved, static_cast<std::size_t>(result)};
    if (result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED) {
        const bool reading = gnutls_record_get_direction(session) == 0;
        return {reading ? Status::wants_read : Status::wants_write, 0};
    }
    error_.code = Errc::peer_unreachable;
    if (result == 0 || result == GNUTLS_E_PREMATURE_TERMINATION)
        error_.context = "the peer ended the connection";
    else if (result == GNUTLS_E_FATAL_ALERT_RECEIVED)
        error_.context = fmt::format("the peer ended the connection: TLS alert {}",
                                     gnutls_alert_get_name(gnutls_alert_get(session)));
    else
        error_.context = fmt::format("TLS: {}", gnutls_strerror(static_cast<int>(result)));
    return {Status::ended, 0};
}

TlsStream::Progress TlsStream::try_read(std::span<std::uint8_t> out) {
    FLOW29_ASSERT(!out.empty());
    while (!state_->wanted_proof.empty()) {
        const Progress progress = read_proof();
        if (progress.status != Status::moved) return progress;
    }
    return receive(out);
}

TlsStream::Progress TlsStream::receive(std::span<std::uint8_t> out) {
    for (int attempts = 0; open(); ++attempts) {
        const long result = gnutls_record_recv(state_->session, out.data(), out.size());
        // Warnings and the like: not the data's end, but no peer may send them for ever.
        const bool passing = result < 0 && result != GNUTLS_E_AGAIN &&
                             gnutls_error_is_fatal(static_cast<int>(result)) == 0;
        if (!passing || attempts == 8) return progress(result);
    }
    error_ = Error{Errc::peer_unreachable, "the connection is closed"};
    return {};
}

TlsStream::Progress TlsStream::try_write(ByteView record, bool more) {
    FLOW29_ASSERT(!record.empty());
    FLOW29_ASSERT(record.size() <= record_bytes_max);
    if (!open()) return {};
    state_->more = more;
    return progress(gnutls_record_send(state_->session, record.data(), record.size()));
}

TlsStream::Progress TlsStream::resume_write(bool more) {
    if (!open()) return {};
    state_->more = more;
    return progress(gnutls_record_send(state_->session, nullptr, 0));
}

asio::awaitable<bool> TlsStream::wait(Status status) {
    if (!open()) co_return false;
    const auto direction = status == Status::wants_write ? asio::ip::tcp::socket::wait_write
                                                         : asio::ip::tcp::socket::wait_read;
    constexpr auto token = asio::experimental::as_tuple(asio::use_awaitable);
    auto result = co_await socket_->async_wait(direction, token);
    co_return !std::get<0>(result) && open();
}

void TlsStream::bound_window(std::optional<ByteCount> octets) {
    if (!open()) return;
    constexpr std::uint64_t whatever = 1U << 30;
    const int window = static_cast<int>(octets ? std::min(octets->value, whatever) : whatever);
    // Best effort. Unlike the size of the buffer it can be changed at any time, and back.
    static_cast<void>(
        ::setsockopt(state_->socket, IPPROTO_TCP, TCP_WINDOW_CLAMP, &window, sizeof window));
}

void TlsStream::close() {
    if (!open()) return;
    if (state_->established) {
        state_->more = false;
        gnutls_bye(state_->session, GNUTLS_SHUT_WR);
    }
    // From here on GnuTLS must not be called: the descriptor's number may be another's at once.
    state_->socket = -1;
    socket_.reset();
}

}  // namespace flow29::net
