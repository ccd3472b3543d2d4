// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/socket_output.hpp"

#include <utility>

#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>

namespace flow29::api {

SocketOutput::SocketOutput(std::shared_ptr<asio::io_context> io,
                           asio::local::stream_protocol::socket socket)
    : io_(std::move(io)), socket_(std::move(socket)) {}

void SocketOutput::begin(ObjectKind, ByteCount, ByteRange) {}

// Posted handlers hold a weak reference: one that is left in an executor that no longer runs must
// not keep this object, and through it the executor, alive.
void SocketOutput::write(ByteView bytes, std::function<void(bool)> next) {
    asio::post(*io_, [weak = weak_from_this(), kept = Bytes(bytes.begin(), bytes.end()),
                      next = std::move(next)]() mutable {
        const auto self = weak.lock();
        if (!self || self->closed_) return next(false);
        self->waiting_ = std::move(kept);
        self->next_ = std::move(next);
        if (!self->busy_) self->start_write();
    });
}

void SocketOutput::finish(std::function<void(bool)> done) {
    asio::post(*io_, [weak = weak_from_this(), done = std::move(done)]() mutable {
        const auto self = weak.lock();
        if (!self || self->closed_) return done(false);
        self->done_ = std::move(done);
        if (!self->busy_) self->close(true);
    });
}

void SocketOutput::abort() {
    asio::post(*io_, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->close(false);
    });
}

void SocketOutput::start_write() {
    busy_ = true;
    writing_ = std::exchange(waiting_, {});
    const Answer next = std::exchange(next_, {});
    asio::async_write(socket_, asio::buffer(writing_),
                      [self = shared_from_this()](const asio::error_code& error, std::size_t) {
                          self->on_written(!error);
                      });
    if (next) next(true);
}

void SocketOutput::on_written(bool good) {
    busy_ = false;
    if (closed_) return;
    if (!good) return close(false);
    if (next_) return start_write();
    if (done_) close(true);
}

void SocketOutput::close(bool all_written) {
    closed_ = true;
    asio::error_code ignored;  // nothing is left to be done about a socket that will not close
    socket_.close(ignored);
    if (const Answer next = std::exchange(next_, {})) next(false);
    if (const Answer done = std::exchange(done_, {})) done(all_written);
}

}  // namespace flow29::api
