// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <memory>

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>

#include "api/byte_output.hpp"

namespace flow29::api {

/// Writes a stream to a Unix socket. One block is being written while the next is prepared.
///
/// The socket is used on the thread of its io_context alone; every function posts to that.
class SocketOutput final : public ByteOutput, public std::enable_shared_from_this<SocketOutput> {
  public:
    /// `io` is kept: the node may hold this longer than the server lives.
    SocketOutput(std::shared_ptr<asio::io_context> io, asio::local::stream_protocol::socket socket);

    void begin(ObjectKind kind, ByteCount object_bytes, ByteRange range) override;
    void write(ByteView bytes, std::function<void(bool go_on)> next) override;
    void finish(std::function<void(bool all_written)> done) override;
    void abort() override;

  private:
    using Answer = std::function<void(bool)>;

    void start_write();
    void on_written(bool good);
    void close(bool all_written);

    const std::shared_ptr<asio::io_context> io_;
    asio::local::stream_protocol::socket socket_;
    Bytes writing_;
    Bytes waiting_;
    Answer next_;  // to be called when waiting_ moves on
    Answer done_;
    bool busy_ = false;
    bool closed_ = false;
};

}  // namespace flow29::api
