// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/control_server.hpp"

#include <flow29/limits.hpp>

#include <chrono>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "api/control_session.hpp"
#include "api/fd_channel.hpp"
#include "core/log.hpp"

namespace flow29::api {
namespace {

using namespace std::chrono_literals;
using Protocol = asio::local::stream_protocol;

constexpr auto accept_pause = 100ms;  // after running out of descriptors
constexpr auto stop_patience = 3s;

}  // namespace

/// What the server's thread works on. Only that thread touches it, but for `thread` and `path`.
struct ControlServer::State : std::enable_shared_from_this<State> {
    explicit State(Router& r)
        : io(std::make_shared<asio::io_context>(1)),
          work(asio::make_work_guard(*io)),
          acceptor(*io),
          timer(*io),
          router(r) {}

    void accept();
    void on_accepted(const asio::error_code& error, Protocol::socket socket);
    void add(Protocol::socket socket);
    void on_closed(const std::shared_ptr<ControlSession>& session);
    void stop();

    const std::shared_ptr<asio::io_context> io;
    asio::executor_work_guard<asio::io_context::executor_type> work;
    Protocol::acceptor acceptor;
    asio::steady_timer timer;
    Router& router;  // owned by the server's maker, who outlives all sessions
    std::set<std::shared_ptr<ControlSession>> sessions;
    bool stopping = false;
    std::filesystem::path path;
    std::thread thread;
};

void ControlServer::State::accept() {
    acceptor.async_accept([this](const asio::error_code& error, Protocol::socket socket) {
        on_accepted(error, std::move(socket));
    });
}

void ControlServer::State::on_accepted(const asio::error_code& error, Protocol::socket socket) {
    if (stopping || error == asio::error::operation_aborted) return;
    if (error) {
        core::log::warn("control", "cannot accept: {}", error.message());
        timer.expires_after(accept_pause);
        timer.async_wait([this](const asio::error_code& waited) {
            if (!waited && !stopping) accept();
        });
        return;
    }
    if (peer_is_allowed(socket.native_handle())) {
        add(std::move(socket));
    } else {
        core::log::warn("control", "refused a connection from another user");
    }
    accept();
}

void ControlServer::State::add(Protocol::socket socket) {
    const auto session = std::make_shared<ControlSession>(
        io, std::move(socket),
        [&router = router](Request request, EmitFn emit) {
            router.call(std::move(request), std::move(emit));
        },
        [this](const std::shared_ptr<ControlSession>& closed) { on_closed(closed); });
    const bool full = sessions.size() >= limits::control_connections_max;
    sessions.insert(session);
    if (full)
        return session->refuse({Errc::refused,
                                "too many connections to this node; try again when "
                                "some have ended"});
    session->start();
}

void ControlServer::State::on_closed(const std::shared_ptr<ControlSession>& session) {
    sessions.erase(session);
    if (stopping && sessions.empty()) timer.cancel();
}

void ControlServer::State::stop() {
    stopping = true;
    asio::error_code ignored;  // the socket file is removed whether or not this works
    acceptor.close(ignored);
    timer.cancel();
    work.reset();
    const auto open = sessions;  // cancelling may close, which takes it out of the set
    for (const auto& session : open)
        session->cancel();
    if (sessions.empty()) return;
    timer.expires_after(stop_patience);
    timer.async_wait([this](const asio::error_code&) {
        const auto left = sessions;
        for (const auto& session : left)
            session->close();
    });
}

ControlServer::ControlServer(Router& router) : state_(std::make_shared<State>(router)) {
    state_->thread = std::thread([state = state_.get()] { state->io->run(); });
}

ControlServer::~ControlServer() {
    if (!state_->path.empty()) {
        std::error_code ignored;  // a socket file that stays is replaced by the next node
        std::filesystem::remove(state_->path, ignored);
    }
    asio::post(*state_->io, [state = state_.get()] { state->stop(); });
    state_->thread.join();
}

Result<void> ControlServer::listen(const std::filesystem::path& path) {
    auto socket = listen_on(path);
    if (!socket) return fail(socket.error());
    state_->path = path;
    asio::post(*state_->io, [state = state_.get(), fd = socket->release()] {
        asio::error_code error;
        state->acceptor.assign(Protocol(), fd, error);
        if (error) {
            core::log::error("control", "cannot serve the control socket: {}", error.message());
            ::close(fd);
            return;
        }
        state->accept();
    });
    return {};
}

Result<UniqueFd> ControlServer::connect() {
    auto pair = make_socket_pair();
    if (!pair) return fail(pair.error());
    asio::post(*state_->io, [state = state_.get(), fd = pair->there.release()] {
        Protocol::socket socket(*state->io);
        asio::error_code error;
        socket.assign(Protocol(), fd, error);
        if (error) {
            ::close(fd);
            return;
        }
        state->add(std::move(socket));
    });
    return std::move(pair->here);
}

}  // namespace flow29::api
