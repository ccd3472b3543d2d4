// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tls_handshake.hpp"

#include "core/assert.hpp"
#include "core/descriptor.hpp"
#include "core/kdf.hpp"

#include <fmt/format.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include <sys/socket.h>

#include <array>
#include <cerrno>
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

struct TlsHandshake::State {
    gnutls_session_t session = nullptr;
    std::shared_ptr<const TlsCredentials> credentials;
    TlsTerms terms;
    int socket = -1;
    bool knocked = false;
    int result = GNUTLS_E_AGAIN;  // of the handshake
    std::optional<PublicKey> proved;
    std::optional<Error> refusal;
    Bytes knock;    // a client's own
    Bytes prelude;  // what came of the knock, or of the answer to it
    std::size_t prelude_wanted = 0;

    ~State() {
        if (session != nullptr) gnutls_deinit(session);
    }

    void set_up(bool server, gnutls_certificate_credentials_t certificate,
                gnutls_priority_t priority) {
        require(
            gnutls_init(&session, (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK |
                                      GNUTLS_NO_SIGNAL | GNUTLS_ENABLE_RAWPK | GNUTLS_NO_TICKETS),
            "gnutls_init");
        require(gnutls_priority_set(session, priority), "gnutls_priority_set");
        require(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, certificate),
                "gnutls_credentials_set");
        const gnutls_datum_t name = datum(protocol);
        require(gnutls_alpn_set_protocols(session, &name, 1, GNUTLS_ALPN_MANDATORY), "ALPN");
        gnutls_session_set_ptr(session, this);
        gnutls_session_set_verify_function(session, &State::verify);
        if (server) gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        gnutls_handshake_set_timeout(session, 0);
        gnutls_transport_set_int(session, socket);
    }

    void expect_prelude(bool server) {
        prelude_wanted = server ? SwarmGate::knock_bytes : SwarmGate::answer_bytes;
        gnutls_transport_set_ptr2(session, this,
                                  reinterpret_cast<gnutls_transport_ptr_t>(  // GnuTLS's own way
                                      static_cast<std::intptr_t>(socket)));
        gnutls_transport_set_pull_function(session, &State::pull);
    }

    [[nodiscard]] bool send_knock() {
        knock = terms.gate->knock(terms.at);
        return send_all(knock);
    }

    /// More follows at once, so it need not be a packet of its own.
    [[nodiscard]] bool send_all(ByteView octets) const {
        const ssize_t sent =
            ::send(socket, octets.data(), octets.size(), MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
        return sent == static_cast<ssize_t>(octets.size());
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
        if (terms.role == TlsTerms::Role::client) {
            if (core::equal_secrets(prelude, terms.gate->answer_to(knock))) return true;
            return refuse(Errc::verification_failed, "the other end has not the swarm's key");
        }
        if (!terms.gate->admits(prelude, terms.at))
            return refuse(Errc::verification_failed, "the other end has not the swarm's key");
        const auto answer = terms.gate->answer_to(prelude);
        if (send_all(answer)) return true;
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
        if (terms.expected && id != *terms.expected)
            return refuse(Errc::verification_failed, "another node is at this address");
        if (terms.position && core::dht_position(id) != *terms.position)
            return refuse(Errc::verification_failed, "another node is at this address");
        proved = *key;
        return true;
    }

    [[nodiscard]] bool agreed_on_protocol() const {
        gnutls_datum_t selected{};
        return gnutls_alpn_get_selected_protocol(session, &selected) >= 0 &&
               std::string_view(reinterpret_cast<const char*>(selected.data), selected.size) ==
                   protocol;
    }

    void add_proofs(Outcome& outcome) const {
        std::array<char, 32> exported{};
        require(gnutls_prf_rfc5705(session, exporter_label.size(), exporter_label.data(), 0,
                                   nullptr, exported.size(), exported.data()),
                "the TLS exporter");
        const ByteView channel(reinterpret_cast<const std::uint8_t*>(exported.data()),
                               exported.size());
        const auto client = terms.gate->proof(SwarmGate::Role::client, channel);
        const auto server = terms.gate->proof(SwarmGate::Role::server, channel);
        const bool is_client = terms.role == TlsTerms::Role::client;
        const auto& own = is_client ? client : server;
        const auto& wanted = is_client ? server : client;
        outcome.own_proof.assign(own.begin(), own.end());
        outcome.wanted_proof.assign(wanted.begin(), wanted.end());
    }

    bool refuse(Errc code, const char* why) {
        refusal = Error{code, why};
        return false;
    }
};

TlsHandshake::TlsHandshake(int socket, std::shared_ptr<const TlsCredentials> credentials,
                           TlsTerms terms)
    : state_(std::make_unique<State>()) {
    State& state = *state_;
    state.credentials = std::move(credentials);
    state.terms = std::move(terms);
    state.socket = socket;
    const bool server = state.terms.role == TlsTerms::Role::server;
    const auto& shared = *state.credentials->state_;
    state.set_up(server, shared.certificate, shared.priority);
    if (state.terms.gate) state.expect_prelude(server);
}

TlsHandshake::~TlsHandshake() = default;

TlsHandshake::Status TlsHandshake::step() {
    State& state = *state_;
    if (!state.knocked && state.terms.gate && state.terms.role == TlsTerms::Role::client &&
        !state.send_knock()) {
        state.refuse(Errc::peer_unreachable, "the connection takes nothing");
        return Status::done;
    }
    state.knocked = true;
    do {
        state.result = gnutls_handshake(state.session);
        if (state.result == GNUTLS_E_AGAIN)
            return gnutls_record_get_direction(state.session) == 0 ? Status::wants_read
                                                                   : Status::wants_write;
    } while (state.result < 0 && gnutls_error_is_fatal(state.result) == 0);
    return Status::done;
}

Result<TlsHandshake::Outcome> TlsHandshake::outcome() {
    State& state = *state_;
    if (state.refusal) return fail(*state.refusal);
    if (state.result < 0)
        return fail(Errc::peer_unreachable, failed_handshake(state.session, state.result));
    if (!state.agreed_on_protocol())
        return fail(Errc::peer_unreachable, "the other end does not speak flow29/1");
    if (!state.proved) return fail(Errc::verification_failed, "the peer proved no key");
    // GnuTLS reads record by record, so nothing of the next one is in its hands.
    FLOW29_ASSERT(gnutls_record_check_pending(state.session) == 0);
    auto sealing = make_cipher(state.session, false);
    if (!sealing) return fail(std::move(sealing.error()));
    auto opening = make_cipher(state.session, true);
    if (!opening) return fail(std::move(opening.error()));
    Outcome outcome{*state.proved, std::move(*sealing), std::move(*opening), {}, {}};
    if (state.terms.gate) state.add_proofs(outcome);
    return outcome;
}

}  // namespace flow29::net
