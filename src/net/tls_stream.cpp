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

Error broken(int errnum) {
    return {Errc::peer_unreachable,
            fmt::format("the connection broke: {}", std::generic_category().message(errnum))};
}

std::string failed_handshake(gnutls_session_t session, int result) {
    if (result == GNUTLS_E_PREMATURE_TERMINATION) return "the peer ended the connection";
    if (result == GNUTLS_E_FATAL_ALERT_RECEIVED)
        return fmt::format("the peer ended the connection: TLS alert {}",
                           gnutls_alert_get_name(gnutls_alert_get(session)));
    return fmt::format("TLS: {}", gnutls_strerror(result));
}

/// For the records of one direction, with the keys that a finished handshake has made.
Result<std::unique_ptr<core::RecordCipher>> make_cipher(gnutls_session_t session, bool reading) {
    core::RecordCipher::Secret secret;
    switch (gnutls_cipher_get(session)) {
        case GNUTLS_CIPHER_AES_128_GCM:
            secret.algorithm = core::RecordCipher::Algorithm::aes_128_gcm;
            break;
        case GNUTLS_CIPHER_AES_256_GCM:
            secret.algorithm = core::RecordCipher::Algorithm::aes_256_gcm;
            break;
        case GNUTLS_CIPHER_CHACHA20_POLY1305:
            secret.algorithm = core::RecordCipher::Algorithm::chacha20_poly1305;
            break;
        default:
            return fail(Errc::other, "TLS has agreed on an unknown cipher");
    }
    gnutls_datum_t iv{};
    gnutls_datum_t key{};
    std::array<std::uint8_t, 8> sequence{};
    const int result =
        gnutls_record_get_state(session, reading ? 1 : 0, nullptr, &iv, &key, sequence.data());
    if (result < 0)
        return fail(Errc::other, fmt::format("the keys of TLS: {}", gnutls_strerror(result)));
    for (const std::uint8_t octet : sequence)
        secret.sequence = secret.sequence << 8 | octet;
    secret.key = {key.data, key.size};
    secret.iv = {iv.data, iv.size};
    return core::RecordCipher::create(secret);
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
    std::optional<RecordSealer> sealer;  // with the next, once the handshake is over
    std::optional<RecordOpener> opener;
    std::size_t waiting = 0;  // octets of the record that the socket has not taken
    bool established = false;
    std::optional<PublicKey> proved;
    std::optional<Error> refusal;
    Bytes knock;    // a client's own
    Bytes prelude;  // what came of the knock, or of the answer to it
    std::size_t prelude_wanted = 0;
    Bytes own_proof;     // to be sent
    Bytes wanted_proof;  // of the peer; empty once it came
    Bytes proof;         // what came of it

    ~State() { end_session(); }

    void end_session() {
        if (session != nullptr) gnutls_deinit(session);
        session = nullptr;
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
    gnutls_transport_set_int(session, state.socket);
    if (!state.options.gate) return;
    state.prelude_wanted = server ? SwarmGate::knock_bytes : SwarmGate::answer_bytes;
    gnutls_transport_set_ptr2(session, &state,
                              reinterpret_cast<gnutls_transport_ptr_t>(  // GnuTLS's own convention
                                  static_cast<std::intptr_t>(state.socket)));
    gnutls_transport_set_pull_function(session, &State::pull);
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
        if (!outcome) co_return outcome;
        if (state_->options.gate) prepare_proofs();
        const auto taken = take_over_records();
        if (!taken) co_return fail(taken.error());
        if (state_->options.gate) {
            const bool in_swarm = co_await exchange_proofs();
            if (!in_swarm && !open()) break;
            if (!in_swarm) co_return fail(error_);
        }
        state_->established = true;
        co_return outcome;
    }
    co_return fail(Errc::peer_unreachable, "the connection was closed during the TLS handshake");
}

Result<PublicKey> TlsStream::handshake_outcome(int result) {
    State& state = *state_;
    if (state.refusal) return fail(*state.refusal);
    if (result < 0) return fail(Errc::peer_unreachable, failed_handshake(state.session, result));
    gnutls_datum_t selected{};
    if (gnutls_alpn_get_selected_protocol(state.session, &selected) < 0 ||
        std::string_view(reinterpret_cast<const char*>(selected.data), selected.size) != protocol)
        return fail(Errc::peer_unreachable, "the other end does not speak flow29/1");
    if (!state.proved) return fail(Errc::verification_failed, "the peer proved no key");
    return *state.proved;
}

/// From here on the records are sealed and opened here, with the keys that the handshake made.
Result<void> TlsStream::take_over_records() {
    State& state = *state_;
    // GnuTLS reads record by record, so nothing of the next one is in its hands.
    FLOW29_ASSERT(gnutls_record_check_pending(state.session) == 0);
    auto out = make_cipher(state.session, false);
    auto in = make_cipher(state.session, true);
    if (!out) return fail(std::move(out.error()));
    if (!in) return fail(std::move(in.error()));
    state.sealer.emplace(std::move(*out));
    state.opener.emplace(std::move(*in));
    state.end_session();
    return {};
}

TlsStream::Progress TlsStream::end(Error error) {
    error_ = std::move(error);
    return {};
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
    if (!open()) return end({Errc::peer_unreachable, "the connection is closed"});
    RecordOpener& opener = *state_->opener;
    for (;;) {
        const auto taken = opener.take(out);
        if (!taken) return end(taken.error());
        if (*taken != 0) return {Status::moved, *taken};
        const auto room = opener.room();
        const ssize_t got = ::recv(state_->socket, room.data(), room.size(), MSG_DONTWAIT);
        if (got > 0) {
            opener.arrived(static_cast<std::size_t>(got));
        } else if (got == 0) {
            return end({Errc::peer_unreachable, "the peer ended the connection"});
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            opener.rest();
            return {Status::wants_read, 0};
        } else if (errno != EINTR) {
            return end(broken(errno));
        }
    }
}

TlsStream::Progress TlsStream::try_write(ByteView record, bool more) {
    FLOW29_ASSERT(!record.empty());
    FLOW29_ASSERT(record.size() <= record_bytes_max);
    if (!open()) return {};
    RecordSealer& sealer = *state_->sealer;
    if (!sealer.seal(tls::ContentType::application_data, record))
        return end({Errc::peer_unreachable, "the connection has carried what one key may"});
    state_->waiting = record.size();
    if (more && sealer.unsent().size() < RecordSealer::batch_bytes)
        return {Status::moved, std::exchange(state_->waiting, 0)};
    return resume_write(more);
}

TlsStream::Progress TlsStream::resume_write(bool more) {
    if (!open()) return {};
    RecordSealer& sealer = *state_->sealer;
    while (!sealer.unsent().empty()) {
        const ByteView unsent = sealer.unsent();
        const ssize_t sent = ::send(state_->socket, unsent.data(), unsent.size(),
                                    MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
        if (sent >= 0)
            sealer.sent(static_cast<std::size_t>(sent));
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return {Status::wants_write, 0};
        else if (errno != EINTR)
            return end(broken(errno));
    }
    if (!more) sealer.rest();
    return {Status::moved, std::exchange(state_->waiting, 0)};
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
    // What is sealed already, and not sent, would have to go first.
    if (state_->established && state_->sealer->unsent().empty()) {
        constexpr std::array<std::uint8_t, 2> close_notify{1, 0};
        if (state_->sealer->seal(tls::ContentType::alert, close_notify))
            static_cast<void>(resume_write(false));
    }
    // From here on GnuTLS must not be called: the descriptor's number may be another's at once.
    state_->end_session();
    state_->socket = -1;
    socket_.reset();
}

}  // namespace flow29::net
