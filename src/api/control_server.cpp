// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/control_server.hpp"

#include <flow29/limits.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "api/caller.hpp"
#include "api/control_session.hpp"
#include "api/fd_channel.hpp"
#include "core/log.hpp"

namespace flow29::api {
namespace {

using namespace std::chrono_literals;
using Protocol = asio::local::stream_protocol;

constexpr auto accept_pause = 100ms;  // after running out of descriptors
constexpr auto stop_patience = 3s;
// Of all connections: its owner reaches the node however many members use it.
constexpr std::ptrdiff_t members_max = limits::control_connections_max / 4 * 3;

/// A path that is listened on.
struct Door {
    explicit Door(asio::io_context& io) : acceptor(io), timer(io) {}

    Protocol::acceptor acceptor;
    asio::steady_timer timer;
    std::optional<gid_t> shared_with;
};

}  // namespace

/// What the server's thread works on. Only that thread touches it, but for `thread` and `paths`.
struct ControlServer::State : std::enable_shared_from_this<State> {
    explicit State(Router& r)
        : io(std::make_shared<asio::io_context>(1)),
          work(asio::make_work_guard(*io)),
          timer(*io),
          router(r) {}

    void open(int listening, std::optional<gid_t> shared_with);
    void accept(Door& door);
    void on_accepted(Door& door, const asio::error_code& error, Protocol::socket socket);
    void add(Protocol::socket socket, Caller caller);
    [[nodiscard]] bool has_room_for(Caller caller) const;
    void on_closed(const std::shared_ptr<ControlSession>& session);
    void stop();

    const std::shared_ptr<asio::io_context> io;
    asio::executor_work_guard<asio::io_context::executor_type> work;
    std::vector<std::unique_ptr<Door>> doors;
    asio::steady_timer timer;
    Router& router;  // owned by the server's maker, who outlives all sessions
    std::set<std::shared_ptr<ControlSession>> sessions;
    bool stopping = false;
    std::vector<std::filesystem::path> paths;
    std::thread thread;
};

void ControlServer::State::open(int listening, std::optional<gid_t> shared_with) {
    auto& door = *doors.emplace_back(std::make_unique<Door>(*io));
    door.shared_with = shared_with;
    asio::error_code error;
    door.acceptor.assign(Protocol(), listening, error);
    if (error) {
        core::log::error("control", "cannot serve the control socket: {}", error.message());
        ::close(listening);
        return;
    }
    accept(door);
}

void ControlServer::State::accept(Door& door) {
    door.acceptor.async_accept(
        [this, &door](const asio::error_code& error, Protocol::socket socket) {
            on_accepted(door, error, std::move(socket));
        });
}

void ControlServer::State::on_accepted(Door& door, const asio::error_code& error,
                                       Protocol::socket socket) {
    if (stopping || error == asio::error::operation_aborted) return;
    if (error) {
        core::log::warn("control", "cannot accept: {}", error.message());
        door.timer.expires_after(accept_pause);
        door.timer.async_wait([this, &door](const asio::error_code& waited) {
            if (!waited && !stopping) accept(door);
        });
        return;
    }
    if (const auto caller = caller_at(socket.native_handle(), door.shared_with)) {
        add(std::move(socket), *caller);
    } else {
        core::log::warn("control", "refused a connection from another user");
    }
    accept(door);
}

bool ControlServer::State::has_room_for(Caller caller) const {
    if (sessions.size() >= limits::control_connections_max) return false;
    return caller == Caller::owner ||
           std::ranges::count(sessions, Caller::member, &ControlSession::caller) < members_max;
}

void ControlServer::State::add(Protocol::socket socket, Caller caller) {
    const auto session = std::make_shared<ControlSession>(
        io, std::move(socket), caller,
        [&router = router](Request request, EmitFn emit) {
            router.call(std::move(request), std::move(emit));
        },
        [this](const std::shared_ptr<ControlSession>& closed) { on_closed(closed); });
    const bool has_room = has_room_for(caller);
    sessions.insert(session);
    if (!has_room)
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
    for (const auto& door : doors) {
        asio::error_code ignored;  // the socket file is removed whether or not this works
        door->acceptor.close(ignored);
        door->timer.cancel();
    }
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
    for (const auto& path : state_->paths) {
        std::error_code ignored;  // a socket file that stays is replaced by the next node
        std::filesystem::remove(path, ignored);
    }
    asio::post(*state_->io, [state = state_.get()] { state->stop(); });
    state_->thread.join();
}

Result<void> ControlServer::listen(const std::filesystem::path& path,
                                   std::optional<gid_t> shared_with) {
    // Nobody's lock keeps a second node away from a place that is not in its data directory.
    if (shared_with && connect_to(path))
        return fail(Errc::exists_already, "another node answers on " + path.string() +
                                              "; --control-socket names another place");
    auto socket = listen_on(path, shared_with);
    if (!socket) return fail(socket.error());
    state_->paths.push_back(path);
    asio::post(*state_->io, [state = state_.get(), fd = socket->release(), shared_with] {
        state->open(fd, shared_with);
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
        state->add(std::move(socket), Caller::owner);
    });
    return std::move(pair->here);
}

}  // namespace flow29::api
