// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tls_stream.hpp"

#include "core/assert.hpp"
#include "core/kdf.hpp"

#include <fmt/format.h>
#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace flow29::net {
namespace {

Error broken(int errnum) {
    return {Errc::peer_unreachable,
            fmt::format("the connection broke: {}", std::generic_category().message(errnum))};
}

}  // namespace

TlsStream::TlsStream(asio::ip::tcp::socket socket,
                     std::shared_ptr<const TlsCredentials> credentials, TlsTerms terms)
    : socket_(std::move(socket)),
      role_(terms.role),
      handshake_(std::make_unique<TlsHandshake>(socket_->native_handle(), std::move(credentials),
                                                std::move(terms))) {}

TlsStream::~TlsStream() = default;

asio::awaitable<Result<PublicKey>> TlsStream::handshake() {
    while (open()) {
        const auto step = handshake_->step();
        if (step != TlsHandshake::Status::done) {
            const bool reading = step == TlsHandshake::Status::wants_read;
            const Status wanted = reading ? Status::wants_read : Status::wants_write;
            const bool ready = co_await wait(wanted);
            if (!ready) break;
            continue;
        }
        auto outcome = handshake_->outcome();
        if (!outcome) co_return fail(std::move(outcome.error()));
        take_over(*outcome);
        if (!wanted_proof_.empty()) {
            const bool in_swarm = co_await exchange_proofs();
            if (!in_swarm && !open()) break;
            if (!in_swarm) co_return fail(error_);
        }
        established_ = true;
        co_return outcome->key;
    }
    co_return fail(Errc::peer_unreachable, "the connection was closed during the TLS handshake");
}

void TlsStream::take_over(TlsHandshake::Outcome& outcome) {
    sealer_.emplace(std::move(outcome.sealing));
    opener_.emplace(std::move(outcome.opening));
    own_proof_ = std::move(outcome.own_proof);
    wanted_proof_ = std::move(outcome.wanted_proof);
    handshake_.reset();
}

/// A server says nothing before it has seen the client's. A client has seen the answer to its knock
/// and need not wait: what it reads first is the server's.
asio::awaitable<bool> TlsStream::exchange_proofs() {
    while (role_ == Role::server && !wanted_proof_.empty()) {
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
    Progress progress = try_write(own_proof_, false);
    while (progress.status == Status::wants_read || progress.status == Status::wants_write) {
        const bool ready = co_await wait(progress.status);
        if (!ready) co_return false;
        progress = resume_write(false);
    }
    co_return progress.status == Status::moved;
}

TlsStream::Progress TlsStream::read_proof() {
    std::array<std::uint8_t, SwarmGate::proof_bytes> octets{};
    const std::span room(octets.data(), wanted_proof_.size() - proof_.size());
    const Progress progress = receive(room);
    if (progress.status != Status::moved) return progress;
    const auto got = room.first(progress.octets);
    proof_.insert(proof_.end(), got.begin(), got.end());
    if (proof_.size() < wanted_proof_.size()) return progress;
    if (!core::equal_secrets(proof_, wanted_proof_)) {
        error_ = {Errc::verification_failed, "the other end does not prove the swarm's key"};
        return {};
    }
    wanted_proof_.clear();
    return progress;
}

TlsStream::Progress TlsStream::end(Error error) {
    error_ = std::move(error);
    return {};
}

TlsStream::Progress TlsStream::try_read(std::span<std::uint8_t> out) {
    FLOW29_ASSERT(!out.empty());
    while (!wanted_proof_.empty()) {
        const Progress progress = read_proof();
        if (progress.status != Status::moved) return progress;
    }
    return receive(out);
}

TlsStream::Progress TlsStream::receive(std::span<std::uint8_t> out) {
    if (!open()) return end({Errc::peer_unreachable, "the connection is closed"});
    RecordOpener& opener = *opener_;
    for (;;) {
        const auto taken = opener.take(out);
        if (!taken) return end(taken.error());
        if (*taken != 0) return {Status::moved, *taken};
        const auto room = opener.room();
        const ssize_t got =
            ::recv(socket_->native_handle(), room.data(), room.size(), MSG_DONTWAIT);
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
    RecordSealer& sealer = *sealer_;
    if (!sealer.seal(tls::ContentType::application_data, record))
        return end({Errc::peer_unreachable, "the connection has carried what one key may"});
    waiting_ = record.size();
    if (more && sealer.unsent().size() < RecordSealer::batch_bytes)
        return {Status::moved, std::exchange(waiting_, 0)};
    return resume_write(more);
}

TlsStream::Progress TlsStream::resume_write(bool more) {
    if (!open()) return {};
    RecordSealer& sealer = *sealer_;
    while (!sealer.unsent().empty()) {
        const ByteView unsent = sealer.unsent();
        const ssize_t sent = ::send(socket_->native_handle(), unsent.data(), unsent.size(),
                                    MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
        if (sent >= 0)
            sealer.sent(static_cast<std::size_t>(sent));
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return {Status::wants_write, 0};
        else if (errno != EINTR)
            return end(broken(errno));
    }
    if (!more) sealer.rest();
    return {Status::moved, std::exchange(waiting_, 0)};
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
    static_cast<void>(::setsockopt(socket_->native_handle(), IPPROTO_TCP, TCP_WINDOW_CLAMP, &window,
                                   sizeof window));
}

void TlsStream::close() {
    if (!open()) return;
    // What is sealed already, and not sent, would have to go first.
    if (established_ && sealer_->unsent().empty()) {
        constexpr std::array<std::uint8_t, 2> close_notify{1, 0};
        if (sealer_->seal(tls::ContentType::alert, close_notify))
            static_cast<void>(resume_write(false));
    }
    // From here on nobody may use the descriptor's number: it may be another's at once.
    handshake_.reset();
    socket_.reset();
}

}  // namespace flow29::net
