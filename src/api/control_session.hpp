// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>

#include "api/caller.hpp"
#include "api/fd_channel.hpp"
#include "api/router.hpp"

namespace flow29::api {

/// One connection of the control server: reads a request, runs it, writes its lines.
///
/// ```
/// reading ──request──▶ running ──last line──▶ closing ──written──▶ closed
///    └── end, timeout, malformed ───────────────▲
/// ```
/// Everything runs on the executor's one thread; it is kept alive by its own operations.
class ControlSession : public std::enable_shared_from_this<ControlSession> {
  public:
    /// Starts the operation, as Router::call.
    using Call = std::function<void(Request request, EmitFn emit)>;
    using Closed = std::function<void(const std::shared_ptr<ControlSession>&)>;

    /// `io` is kept: the node may hold this session's callbacks longer than the server lives.
    ControlSession(std::shared_ptr<asio::io_context> io,
                   asio::local::stream_protocol::socket socket, Caller caller, Call call,
                   Closed closed);

    [[nodiscard]] Caller caller() const { return caller_; }
    void start();
    /// Answers nothing but this error.
    void refuse(const Error& error);
    /// Cancels the operation; its last line is still sent.
    void cancel();
    /// Ends at once.
    void close();

  private:
    enum class Phase { reading, running, closing, closed };

    void wait_for_input();
    void on_input();
    void on_request(const std::string& line);
    void send(std::string line, bool last);
    void write_next();
    void set_deadline(std::chrono::seconds after);

    const std::shared_ptr<asio::io_context> io_;
    asio::local::stream_protocol::socket socket_;
    asio::steady_timer deadline_;
    const Caller caller_;
    Call call_;
    Closed closed_;
    Phase phase_ = Phase::reading;
    LineBuffer input_;
    std::vector<UniqueFd> descriptors_;
    std::shared_ptr<ByteOutput> output_;
    std::deque<std::string> outgoing_;
    std::stop_source stop_;
    std::stop_source gone_;
};

}  // namespace flow29::api
