// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/control_session.hpp"

#include <sys/socket.h>

#include <utility>

#include <flow29/limits.hpp>

#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>

#include "api/json_results.hpp"
#include "api/socket_output.hpp"

namespace flow29::api {
namespace {

using namespace std::chrono_literals;

constexpr auto request_timeout = 10s;
constexpr auto write_timeout = 30s;

}  // namespace

ControlSession::ControlSession(std::shared_ptr<asio::io_context> io,
                               asio::local::stream_protocol::socket socket, Caller caller,
                               Call call, Closed closed)
    : io_(std::move(io)),
      socket_(std::move(socket)),
      deadline_(*io_),
      caller_(caller),
      call_(std::move(call)),
      closed_(std::move(closed)) {}

void ControlSession::start() {
    asio::error_code error;
    socket_.native_non_blocking(true, error);
    if (error) return close();
    set_deadline(request_timeout);
    wait_for_input();
}

void ControlSession::refuse(const Error& error) {
    phase_ = Phase::running;
    send(error_line(error), true);
}

void ControlSession::cancel() {
    if (phase_ == Phase::reading) return close();
    stop_.request_stop();
    gone_.request_stop();
    if (output_) output_->abort();
}

void ControlSession::close() {
    if (phase_ == Phase::closed) return;
    phase_ = Phase::closed;
    stop_.request_stop();
    if (output_) output_->abort();
    asio::error_code ignored;  // a socket that will not close is gone all the same
    socket_.close(ignored);
    deadline_.cancel();
    closed_(shared_from_this());
}

void ControlSession::set_deadline(std::chrono::seconds after) {
    deadline_.expires_after(after);
    deadline_.async_wait([self = shared_from_this()](const asio::error_code& error) {
        if (!error) self->close();
    });
}

void ControlSession::wait_for_input() {
    socket_.async_wait(asio::local::stream_protocol::socket::wait_read,
                       [self = shared_from_this()](const asio::error_code& error) {
                           if (!error && self->phase_ != Phase::closed) self->on_input();
                       });
}

void ControlSession::on_input() {
    auto received = receive_some(socket_.native_handle());
    if (!received) {
        if (phase_ == Phase::reading) return refuse(received.error());
        return close();
    }
    if (received->end) return cancel();
    // One request a connection: what follows it is read only to notice the end.
    if (phase_ == Phase::reading) {
        for (UniqueFd& fd : received->descriptors)
            descriptors_.push_back(std::move(fd));
        if (descriptors_.size() > limits::control_descriptors_max)
            return refuse({Errc::refused, "too many descriptors came with the request"});
        if (const auto taken = input_.append(received->octets); !taken)
            return refuse(taken.error());
        if (const auto line = input_.pop_line()) on_request(*line);
    }
    if (phase_ != Phase::closed) wait_for_input();
}

void ControlSession::on_request(const std::string& line) {
    deadline_.cancel();
    auto request = parse_request(line);
    if (!request) return refuse(request.error());
    phase_ = Phase::running;
    request->is_member = caller_ == Caller::member;
    // Of what a member cannot open itself, no path is of use to it.
    request->may_name_paths = !request->is_member || !descriptors_.empty();
    request->stop = stop_.get_token();
    request->gone = gone_.get_token();
    if (!descriptors_.empty() && request->method == "cat") {
        asio::local::stream_protocol::socket target(*io_);
        asio::error_code error;
        // Asio takes any descriptor; only a socket can be waited on and written without blocking.
        int type = 0;
        socklen_t size = sizeof type;
        const bool stream =
            ::getsockopt(descriptors_.front().get(), SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
            type == SOCK_STREAM;
        if (stream)
            target.assign(asio::local::stream_protocol(), descriptors_.front().get(), error);
        if (!stream || error) return refuse({Errc::usage, "\"cat\" can only write to a socket"});
        static_cast<void>(descriptors_.front().release());
        output_ = std::make_shared<SocketOutput>(io_, std::move(target));
        request->output = output_;
    } else if (!descriptors_.empty()) {
        request->input = std::move(descriptors_.front());
    }
    descriptors_.clear();
    call_(std::move(*request), [weak = weak_from_this(), io = io_](std::string text, bool last) {
        asio::post(*io, [weak, text = std::move(text), last]() mutable {
            if (const auto self = weak.lock()) self->send(std::move(text), last);
        });
    });
}

void ControlSession::send(std::string line, bool last) {
    if (phase_ != Phase::running) return;
    if (last) phase_ = Phase::closing;
    if (!last && outgoing_.size() >= limits::control_lines_waiting_max) return;
    outgoing_.push_back(std::move(line));
    if (outgoing_.size() == 1) write_next();
}

void ControlSession::write_next() {
    set_deadline(write_timeout);
    asio::async_write(socket_, asio::buffer(outgoing_.front()),
                      [self = shared_from_this()](const asio::error_code& error, std::size_t) {
                          if (self->phase_ == Phase::closed) return;
                          if (error) return self->close();
                          self->deadline_.cancel();
                          self->outgoing_.pop_front();
                          if (!self->outgoing_.empty()) return self->write_next();
                          if (self->phase_ == Phase::closing) self->close();
                      });
}

}  // namespace flow29::api
