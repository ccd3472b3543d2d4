// SPDX-License-Identifier: GPL-3.0-or-later
#include "hostile/raw_connection.hpp"

#include "net/sockets.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <cstdlib>

namespace flow29::hostile {

using asio::ip::tcp;
using net::TlsStream;

namespace {
constexpr auto as_tuple = asio::experimental::as_tuple(asio::use_awaitable);

/// Sends all of it; false when the connection ended before.
asio::awaitable<bool> write_all(TlsStream& stream, Bytes octets) {
    for (std::size_t sent = 0; sent < octets.size();) {
        const auto part = std::min(octets.size() - sent, TlsStream::record_bytes_max);
        auto progress = stream.try_write(ByteView(octets).subspan(sent, part), false);
        while (progress.status == TlsStream::Status::wants_read ||
               progress.status == TlsStream::Status::wants_write) {
            const bool ready = co_await stream.wait(progress.status);
            if (!ready) co_return false;
            progress = stream.resume_write(false);
        }
        if (progress.status == TlsStream::Status::ended) co_return false;
        sent += part;
    }
    co_return true;
}

/// Reads and forgets, until the other end hangs up.
asio::awaitable<void> drain(TlsStream& stream) {
    std::array<std::uint8_t, TlsStream::record_bytes_max> room{};
    for (;;) {
        const auto progress = stream.try_read(room);
        if (progress.status == TlsStream::Status::ended) co_return;
        if (progress.status == TlsStream::Status::moved) continue;
        const bool ready = co_await stream.wait(progress.status);
        if (!ready) co_return;
    }
}
}  // namespace

RawConnections::RawConnections(net::Runtime& runtime, const core::Identity& identity,
                               core::Endpoint source)
    : runtime_(runtime), source_(source) {
    auto created = net::TlsCredentials::create(identity);
    if (!created) std::abort();
    credentials_ = std::move(*created);
}

asio::awaitable<Result<tcp::socket>> RawConnections::dial(core::Endpoint target) {
    auto opened = net::dialling_socket(runtime_.executor(), target, source_);
    if (!opened) co_return fail(opened.error());
    auto socket = std::move(*opened);
    const tcp::endpoint to = net::to_asio(target);
    auto connected = co_await socket.async_connect(to, as_tuple);
    const std::error_code ec = std::get<0>(connected);
    if (ec || !net::prepare_connected(socket))
        co_return fail(Errc::peer_unreachable, target.to_string());
    co_return std::move(socket);
}

asio::awaitable<bool> RawConnections::send(core::Endpoint target, proto::Hello hello, Bytes octets,
                                           Manner manner) {
    auto socket = co_await dial(target);
    if (!socket) co_return false;
    net::TlsTerms terms;
    const auto stream = std::make_shared<TlsStream>(std::move(*socket), credentials_, terms);
    const auto timer =
        runtime_.add_timer(runtime_.now() + manner.patience, [weak = std::weak_ptr(stream)] {
            if (const auto late = weak.lock()) late->close();
        });
    const auto key = co_await stream->handshake();
    bool sent = key.has_value();
    if (sent) {
        Bytes all = frame_of(proto::encode_head(0, std::move(hello)));
        all.insert(all.end(), octets.begin(), octets.end());
        sent = co_await write_all(*stream, std::move(all));
        if (sent && manner.reads) co_await drain(*stream);
        if (sent && !manner.reads) co_await net::sleep_for(runtime_, manner.patience);
    }
    runtime_.cancel_timer(timer);
    stream->close();
    co_return sent;
}

asio::awaitable<void> RawConnections::stay_silent(core::Endpoint target, Duration patience) {
    const auto socket = co_await dial(target);
    if (socket) co_await net::sleep_for(runtime_, patience);
}

Bytes frame_of(ByteView head, std::uint32_t body) {
    const proto::FrameLengths lengths{static_cast<std::uint32_t>(head.size()), body};
    const auto raw = lengths.encode();
    Bytes frame(raw.size() + head.size());
    std::ranges::copy(head, std::ranges::copy(raw, frame.begin()).out);
    return frame;
}

std::vector<Bytes> bombs() {
    std::vector<Bytes> found;
    for (const std::string_view hex : {
             "ddffffffff",            // an array of 4 billion elements
             "dfffffffff",            // a map likewise
             "930a01c6ffffffff",      // "have" with 4 GiB
             "930a0191dd7fffffff00",  // "have" of 2 billion items
             "931e00c7ff29",          // an extension that is cut off
         })
        if (auto raw = from_hex(hex)) found.push_back(std::move(*raw));
    found.push_back(Bytes(200'000, 0x91));  // an array in an array in an array
    found.push_back(Bytes(200'000, 0x81));
    return found;
}

}  // namespace flow29::hostile
